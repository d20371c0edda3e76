"""What a pod of ours asks for: its server's release, environment, probes and its end. Pure.

Sources: "Configure Liveness, Readiness and Startup Probes" (defaults), "Pod Lifecycle" (Termination of Pods), "Container
Lifecycle Hooks", Kubernetes documentation.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from turnout_components.kubernetes_names import (
    BOOT_ANNOTATION,
    COMPONENT_LABEL,
    ENVIRONMENT_LABEL,
    MANIFEST_ANNOTATION,
    WORKER,
)

from turnout.cloud.world import Check
from turnout.cluster.watching import Object, annotations_of, labels_of

CONTAINER = "server"
"""The container whose server runs as a process; others are said to run."""
STARTUP, READINESS, LIVENESS = "startup", "readiness", "liveness"
_DEFAULT_GRACE = 30.0
_GOOD = "200-399"
"""Any code of at least 200 and below 400 indicates success."""


class PodError(ValueError):
    """A pod that the local cluster cannot serve; the message says what of it and what to do."""


@dataclass(frozen=True)
class Probe:
    """A probe. `delay` and `grace` in seconds; `check`: path, period, timeout and thresholds; `tcp`: it only connects."""

    check: Check
    delay: float = 0.0
    grace: float | None = None
    tcp: bool = False


@dataclass(frozen=True)
class Reference:
    """A value of the environment that stands elsewhere: a key of a Secret, or a field of the pod."""

    secret: str = ""
    key: str = ""
    path: str = ""
    optional: bool = False


@dataclass(frozen=True)
class PodSpec:
    """What is read of a pod once. `images`: of each container, by name; `gates`: condition types of its readiness gates."""

    release: Mapping[str, Any]
    images: Mapping[str, str]
    environment: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    references: Mapping[str, Reference] = field(default_factory=dict)
    probes: Mapping[str, Probe] = field(default_factory=dict)
    boot: Mapping[str, float] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    """Secrets each of whose keys is a variable."""
    gates: tuple[str, ...] = ()
    pre_stop: float = 0.0
    """Seconds that it sleeps before SIGTERM."""
    headless: bool = False
    """Whether it holds a part of a sharded model and answers nobody: it runs no server here."""


def is_ours(pod: Object) -> bool:
    """Whether its server runs here: it carries a release's manifest, and a node has it."""
    return MANIFEST_ANNOTATION in annotations_of(pod) and bool(pod["spec"].get("nodeName"))


def grace_of(pod: Object) -> float:
    """Seconds from the deletion to SIGKILL: those of the deletion, else the pod's own."""
    given = pod["metadata"].get("deletionGracePeriodSeconds", pod["spec"].get("terminationGracePeriodSeconds"))
    return _DEFAULT_GRACE if given is None else float(given)


def images(pod: Object) -> dict[str, str]:
    """The image of each container by its name."""
    return {one["name"]: one["image"] for one in pod["spec"]["containers"]}


def read(pod: Object) -> PodSpec:
    """The pod's specification.

    Raises `PodError`."""
    containers = pod["spec"]["containers"]
    server = next((one for one in containers if one["name"] == CONTAINER), None)
    if server is None:
        raise PodError(f"it has no container {CONTAINER!r}: that is the one that serves")
    try:
        annotations = annotations_of(pod)
        release = json.loads(annotations[MANIFEST_ANNOTATION])
        boot = {str(name): float(seconds) for name, seconds in json.loads(annotations.get(BOOT_ANNOTATION, "{}")).items()}
        release["engine"], release["digest"]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise PodError(f"annotation {MANIFEST_ANNOTATION} or {BOOT_ANNOTATION} cannot be read: {error!r}") from None
    values, references = _environment(server)
    return PodSpec(
        {**release, "image": server["image"]},
        images(pod),
        labels_of(pod).get(ENVIRONMENT_LABEL, ""),
        values,
        references,
        {kind: _probe(kind, server) for kind in (STARTUP, READINESS, LIVENESS) if server.get(f"{kind}Probe")},
        boot,
        _secrets(server),
        tuple(gate["conditionType"] for gate in pod["spec"].get("readinessGates") or ()),
        _pre_stop(server),
        labels_of(pod).get(COMPONENT_LABEL) == WORKER,
    )


def _probe(kind: str, container: Object) -> Probe:
    given = container[f"{kind}Probe"]
    get = given.get("httpGet") or given.get("tcpSocket")
    if get is None:
        raise PodError(f"its {kind}Probe is neither httpGet nor tcpSocket, and the local cluster asks no other")
    ports: Sequence[Mapping[str, Any]] = container.get("ports") or ()
    if ports and get["port"] not in (ports[0].get("name"), ports[0]["containerPort"]):
        raise PodError(
            f"its {kind}Probe asks port {get['port']}; the local cluster serves the first port of {CONTAINER!r} only"
        )
    if get.get("scheme", "HTTP") != "HTTP" or get.get("httpHeaders") or get.get("host"):
        raise PodError(f"its {kind}Probe wants HTTPS, headers or a host; the local cluster asks by plain HTTP")
    path = str(get.get("path") or "/")
    thresholds = int(given.get("successThreshold") or 1), int(given.get("failureThreshold") or 3)
    check = Check(path, float(given.get("periodSeconds") or 10), float(given.get("timeoutSeconds") or 1), *thresholds, _GOOD)
    grace = given.get("terminationGracePeriodSeconds")
    delay = float(given.get("initialDelaySeconds") or 0)
    return Probe(check, delay, None if grace is None else float(grace), "tcpSocket" in given)


def _pre_stop(container: Object) -> float:
    hook = (container.get("lifecycle") or {}).get("preStop") or {}
    if hook and "sleep" not in hook:
        raise PodError(
            "its preStop is no sleep, and the local cluster carries out no other; write preStop: {sleep: {seconds: 15}}"
        )
    return float(hook["sleep"]["seconds"]) if hook else 0.0


def _secrets(container: Object) -> tuple[str, ...]:
    sources = container.get("envFrom") or ()
    if any(set(source) != {"secretRef"} or source["secretRef"].get("optional") for source in sources):
        raise PodError("its envFrom is not of a secret alone; the local cluster reads a secretRef with a name")
    return tuple(source["secretRef"]["name"] for source in sources)


def _environment(container: Object) -> tuple[dict[str, str], dict[str, Reference]]:
    values: dict[str, str] = {}
    references: dict[str, Reference] = {}
    for one in container.get("env") or ():
        source = one.get("valueFrom") or {}
        if "secretKeyRef" in source:
            at = source["secretKeyRef"]
            references[one["name"]] = Reference(at["name"], at["key"], optional=bool(at.get("optional")))
        elif "fieldRef" in source:
            references[one["name"]] = Reference(path=source["fieldRef"]["fieldPath"])
        elif source:
            raise PodError(f"its variable {one['name']} is of {', '.join(source)}; the local cluster reads secrets and fields")
        else:
            values[one["name"]] = str(one.get("value") or "")
    return values, references
