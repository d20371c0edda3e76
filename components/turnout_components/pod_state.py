"""What pods say of themselves: whether they serve, how long they took, and why they do not start. Pure."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from turnout_components.standby import Launch

Pod = Mapping[str, Any]
WAITS = {
    "ErrImagePull": "its image cannot be pulled",
    "ImagePullBackOff": "its image cannot be pulled",
    "InvalidImageName": "its image has no valid name",
    "ErrImageNeverPull": "its image is not on the node and may not be pulled",
    "CreateContainerConfigError": "a ConfigMap, Secret or setting that it needs is missing",
    "CreateContainerError": "its container cannot be made",
    "RunContainerError": "its container cannot be started",
    "CrashLoopBackOff": "it crashes again and again",
}
"""What a container waits for that does not start ("Pod Lifecycle", container states; "Images", ImagePullBackOff)."""
STUCK = ("FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox", "FailedScheduling")
"""Reasons of a Warning event about a pod that does not start."""


def is_ready(pod: Pod) -> bool:
    """Ready, and not about to go: only then it is in service."""
    ready = condition(pod, "Ready")
    return not is_leaving(pod) and ready is not None and ready["status"] == "True"


def is_leaving(pod: Pod) -> bool:
    """Terminating: it has been told to stop."""
    return pod["metadata"].get("deletionTimestamp") is not None


def takes_a_place(pod: Pod) -> bool:
    """Whether it has not ended ("Pod Lifecycle", pod phase)."""
    return (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed")


def ip(pod: Pod) -> str | None:
    """Its address, once it has one."""
    return (pod.get("status") or {}).get("podIP")


def condition(pod: Pod, kind: str) -> Mapping[str, Any] | None:
    """The object's condition of this type."""
    return next((each for each in (pod.get("status") or {}).get("conditions") or () if each["type"] == kind), None)


def newest_first(pods: Iterable[Pod]) -> list[Pod]:
    """By the time at which they were made."""
    return sorted(pods, key=lambda pod: (pod["metadata"]["creationTimestamp"], pod["metadata"]["name"]), reverse=True)


def launch(pod: Pod) -> Launch | None:
    """From the pod's creation until it was ready; None where it is not, or has been restarted: then nobody knows."""
    ready, status = condition(pod, "Ready"), pod.get("status") or {}
    restarted = any(each.get("restartCount", 0) for each in status.get("containerStatuses") or ())
    if ready is None or ready["status"] != "True" or restarted or not ready.get("lastTransitionTime"):
        return None
    taken = moment(ready["lastTransitionTime"]) - moment(pod["metadata"]["creationTimestamp"])
    return Launch(taken.total_seconds(), from_warm_pool=False)


def moment(text: str) -> datetime:
    """A time as Kubernetes writes it (RFC 3339)."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def trouble(pod: Pod) -> str | None:
    """Why a pod that is not ready will not be soon; None where it just takes its time."""
    name = pod["metadata"]["name"]
    scheduled = condition(pod, "PodScheduled")
    if scheduled is not None and scheduled["status"] == "False":
        return f"pod {name} has no node ({scheduled.get('reason', 'not scheduled')}): {scheduled.get('message', '')}".rstrip(
            ": "
        )
    status = pod.get("status") or {}
    if status.get("phase") == "Failed":
        return f"pod {name} failed ({status.get('reason', 'no reason given')}): {status.get('message', '')}".rstrip(": ")
    for each in [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]:
        waiting = (each.get("state") or {}).get("waiting") or {}
        reason = waiting.get("reason")
        if reason in WAITS:
            ended = (each.get("lastState") or {}).get("terminated") or {}
            last = f"; it ended with {ended.get('reason', 'Error')}, exit code {ended.get('exitCode')}" if ended else ""
            detail = f": {waiting['message']}" if waiting.get("message") else ""
            return f"pod {name}, container {each['name']}: {WAITS[reason]} ({reason}{last}){detail}"
    return None


def told_by_events(name: str, events: Iterable[Mapping[str, Any]]) -> str | None:
    """What the newest warning about a pod that does not start says."""
    found = [each for each in events if each.get("type") == "Warning" and each.get("reason") in STUCK]
    newest = max(found, key=lambda each: str(each.get("lastTimestamp") or each.get("eventTime") or ""), default=None)
    return None if newest is None else f"pod {name}: {newest['reason']}: {newest.get('message', '')}".rstrip(": ")
