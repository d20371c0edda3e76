"""Why an object is not what it should be: its own warnings, its pods' waiting reasons and theirs. What cannot be asked is left
out: a reason is looked for after something has failed already."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from turnout.engine.provider import ProviderError
from turnout.providers.kubernetes.cluster import Cluster
from turnout.providers.kubernetes.tokens import Kind

Live = Mapping[str, Any]
POD, EVENT = Kind("", "v1", "Pod"), Kind("", "v1", "Event")
SHOWN_PODS, SHOWN_EVENTS, LONGEST = 3, 3, 300
"""Pods whose troubles are told, events of each object, characters of one message."""


def why(live: Live, cluster: Cluster) -> list[str]:
    """Lines for an operator, the object's own first; empty where nothing is to be seen."""
    lines = _warnings(live, cluster)
    troubled = 0
    for pod in _pods(live, cluster):
        if found := _of_pod(pod, cluster):
            troubled += 1
            lines += found if troubled <= SHOWN_PODS else []
    return [*lines, *([f"and {troubled - SHOWN_PODS} more pods"] if troubled > SHOWN_PODS else [])]


def _of_pod(pod: Live, cluster: Cluster) -> list[str]:
    name = pod["metadata"]["name"]
    status = pod.get("status") or {}
    found = [
        f"pod {name} is not scheduled: {_short(each.get('message'))}"
        for each in status.get("conditions") or []
        if each.get("type") == "PodScheduled" and each.get("status") == "False"
    ]
    for container in [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]:
        found += _of_container(name, container)
    if not found and not _is_ready(pod):
        found = [f"pod {name} is {status.get('phase', 'Pending')} and not ready"]
    return [*found, *_warnings(pod, cluster)] if found else []


def _of_container(pod: str, container: Live) -> list[str]:
    state, last = container.get("state") or {}, container.get("lastState") or {}
    waiting, ended = state.get("waiting"), state.get("terminated") or last.get("terminated")
    told = []
    if waiting and waiting.get("reason") not in ("ContainerCreating", "PodInitializing"):
        told.append(f"waits: {waiting.get('reason')}" + (f": {_short(waiting['message'])}" if waiting.get("message") else ""))
    if ended and ended.get("exitCode"):
        told.append(
            f"ended with {ended['exitCode']} ({ended.get('reason') or 'Error'}), {container.get('restartCount', 0)} restarts"
        )
    return [f"pod {pod}, container {container.get('name')} {', '.join(told)}"] if told else []


def _is_ready(pod: Live) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or []
    return any(each.get("type") == "Ready" and each.get("status") == "True" for each in conditions)


def _pods(live: Live, cluster: Cluster) -> list[dict[str, Any]]:
    """The pods that the object selects; the newest last."""
    selector = _selector(live)
    if live.get("kind") == "Pod":
        return [dict(live)]
    if not selector:
        return []
    path = cluster.path_of(POD, live["metadata"].get("namespace"))
    with suppress(ProviderError):
        return list(cluster.get(path, "pods", labelSelector=selector).get("items") or [])
    return []


def _selector(live: Live) -> str:
    given = (live.get("spec") or {}).get("selector")
    labels = given.get("matchLabels", given) if isinstance(given, Mapping) else {}
    pairs: Iterable[tuple[str, Any]] = (labels or {}).items()
    return ",".join(f"{name}={value}" for name, value in pairs if isinstance(value, str))


def _warnings(live: Live, cluster: Cluster) -> list[str]:
    """The object's last warning events."""
    meta = live["metadata"]
    subject = f"{live.get('kind', 'Pod')} {meta['name']}".lower() if live.get("kind") in (None, "Pod") else ""
    path = cluster.path_of(EVENT, meta.get("namespace") or "default")
    chosen = f"involvedObject.uid={meta.get('uid')},type=Warning"
    with suppress(ProviderError):
        found = cluster.get(path, "events", fieldSelector=chosen).get("items") or []
        found.sort(key=lambda each: str(each.get("lastTimestamp") or each.get("eventTime") or ""))
        told = [f"{each.get('reason')}: {_short(each.get('message'))}" for each in found[-SHOWN_EVENTS:]]
        return [f"{subject}: {each}" if subject else each for each in dict.fromkeys(told)]
    return []


def _short(text: Any) -> str:
    flat = " ".join(str(text or "").split())
    return flat if len(flat) <= LONGEST else f"{flat[: LONGEST - 1]}…"
