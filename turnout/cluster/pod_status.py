"""A pod's status as its kubelet would write it. Pure.

Sources: "Pod Lifecycle" (Pod phase, Container states, Pod conditions, Pod readiness, How Pods handle problems with containers),
Kubernetes documentation.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from turnout.cluster.pod_spec import CONTAINER

CREATING, BACK_OFF, CONFIG_ERROR = "ContainerCreating", "CrashLoopBackOff", "CreateContainerConfigError"
_FIRST, _LONGEST, _FORGIVEN = 10.0, 300.0, 600.0
"""Seconds: the first back-off, the longest, and the run after which the next is the first again."""


@dataclass(frozen=True)
class Ended:
    """How a server ended. Moments in seconds since 1970."""

    code: int
    started: float
    finished: float


@dataclass(frozen=True)
class Life:
    """What a kubelet knows of the server. `since`: its process's start, None while there is none; `waiting` says why."""

    since: float | None = None
    waiting: str = CREATING
    message: str = ""
    started: bool = False
    ready: bool = False
    restarts: int = 0
    last: Ended | None = None


def back_off(last: float, ran: float, first: bool) -> float:
    """Seconds until an ended server is started again: at once the first time, then 10 and twice as long each time, at most 300;
    as in the beginning after a run of 10 minutes. `last`: the back-off before; `ran`: how long it ran."""
    if first or ran >= _FORGIVEN:
        return 0.0
    return min(max(last * 2, _FIRST), _LONGEST)


def moment(seconds: float) -> str:
    """A moment as the API writes it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def document(life: Life, images: Mapping[str, str], gates: Mapping[str, bool], began: float) -> dict[str, Any]:
    """The status, its conditions still without their moments. `gates`: whether each readiness gate's condition is True;
    `began`: when the pod was taken up, seconds since 1970."""
    unready = "ContainersNotReady", f"containers with unready status: [{CONTAINER}]"
    conditions = [
        _condition("PodReadyToStartContainers", True),
        _condition("Initialized", True),
        _condition("ContainersReady", life.ready, *unready),
        _condition("Ready", life.ready and all(gates.values()), *(_missing(gates) if life.ready else unready)),
    ]
    return {
        "phase": "Running" if life.since is not None or life.last is not None else "Pending",
        "startTime": moment(began),
        "conditions": conditions,
        "containerStatuses": [_container(name, image, life, began) for name, image in images.items()],
    }


def stamped(status: dict[str, Any], before: Mapping[str, Any], now: float) -> dict[str, Any]:
    """The status with the moment of each condition's last change of status: that of `before` where it has not changed."""
    held = {(one["type"], one["status"]): one["lastTransitionTime"] for one in before.get("conditions", ())}
    conditions = [
        {**one, "lastTransitionTime": held.get((one["type"], one["status"]), moment(now))} for one in status["conditions"]
    ]
    return {**status, "conditions": conditions}


def _missing(gates: Mapping[str, bool]) -> tuple[str, str]:
    missing = (f'corresponding condition of pod readiness gate "{gate}" is not True' for gate, on in gates.items() if not on)
    return "ReadinessGatesNotReady", ", ".join(missing)


def _condition(kind: str, on: bool, reason: str = "", message: str = "") -> dict[str, Any]:
    """The reason of a condition that is False, and none (null clears it) of one that is True."""
    return {
        "type": kind,
        "status": "True" if on else "False",
        "reason": None if on else reason,
        "message": None if on else message,
    }


def _container(name: str, image: str, life: Life, began: float) -> dict[str, Any]:
    own = {"name": name, "image": image, "imageID": image}
    if name != CONTAINER:
        running = {"running": {"startedAt": moment(began)}}
        return {**own, "ready": True, "started": True, "restartCount": 0, "state": running}
    last = {"lastState": {"terminated": _terminated(life.last)}} if life.last is not None else {}
    state = {"ready": life.ready, "started": life.started, "restartCount": life.restarts, "state": _state(life)}
    return {**own, **state, **last}


def _state(life: Life) -> dict[str, Any]:
    if life.since is not None:
        return {"running": {"startedAt": moment(life.since)}}
    return {"waiting": {"reason": life.waiting, **({"message": life.message} if life.message else {})}}


def _terminated(ended: Ended) -> dict[str, Any]:
    return {
        "exitCode": ended.code,
        "reason": "Completed" if ended.code == 0 else "Error",
        "startedAt": moment(ended.started),
        "finishedAt": moment(ended.finished),
    }
