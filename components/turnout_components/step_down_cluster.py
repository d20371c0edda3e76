"""A standby's step-downs on Kubernetes: the plan stands as an annotation on its workload, and whoever comes by applies what is
due: the flip's after-hook, every `turnout up`, every tick of a rollout's driver. With an image that has kubectl, CronJobs apply
it with nobody present.

Kubernetes has no scheduled action: something has to run. A CronJob does one step: a JSON patch that first tests the annotation
("JSON Patch", RFC 6902, test), so one that was forgotten, or runs again a year later, changes nothing.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from turnout_components.cluster_api import Changed, ClusterApi, ClusterError, Object
from turnout_components.kubernetes_names import WORKLOAD_LABEL, ObjectId
from turnout_components.live import Group, utc_now
from turnout_components.live_workloads import ClusterWorkloads
from turnout_components.pod_state import moment
from turnout_components.resolve import SwitchRefused
from turnout_components.standby import Keep, StandbyPolicy, StepDown, step_downs
from turnout_components.standby_plan import StepDowns
from turnout_components.workload_bounds import HPA, PAUSED

PLAN = "turnout.dev/step-downs"
"""Annotation of a workload: its steps to come as JSON, `[{"name", "at", "level", "size"}]`."""
JOB_NAME_LIMIT = 52
"""Characters of a CronJob's name ("CronJob": 11 are added to it)."""


class ClusterStepDowns(StepDowns):
    """`StepDowns` of workloads by `Kind/namespace/name`. `image`: one with kubectl, by digest; CronJobs run it as the service
    account `account`. Without it nothing happens before somebody comes by."""

    def __init__(
        self, api: ClusterApi, *, image: str | None = None, account: str | None = None, clock: Callable[[], datetime] = utc_now
    ) -> None:
        super().__init__()
        self._api, self._image, self._account, self._clock = api, image, account, clock
        self._workloads = ClusterWorkloads(api)

    def arrange(self, group: str, policy: StandbyPolicy, flipped_at: datetime, at_flip: int, *, due: bool = True) -> list[str]:
        found = self._workloads.group(group)
        if found is None:
            return []
        now, done = self._clock(), list[str]()
        steps = step_downs(policy, flipped_at)
        coming = [step for step in steps if step.at > now]
        plan = [_entry(step, policy, at_flip) for step in coming]
        if plan != self._plan(group):
            self._write(group, plan)
            done += [f"{group} becomes {step.level} at {step.at:%Y-%m-%d %H:%M:%S} UTC" for step in coming]
        self._schedule(group, plan)
        past = [step for step in steps if step.at <= now]
        if not past:
            if found.minimum < at_flip:
                self._workloads.set_minimum(group, at_flip)
        elif due:
            done += self._apply(found, past[-1], _size(past[-1].level, policy, at_flip))
        return done

    def clear(self, group: str) -> None:
        if self._plan(group):
            self._write(group, [])
        self._schedule(group, [])
        if left := self._plan(group):
            raise SwitchRefused(f"step-downs of {group} cannot be taken back: {', '.join(step['name'] for step in left)}")

    def pending(self, groups: Sequence[str]) -> dict[str, dict[str, datetime]]:
        return {group: {step["name"]: moment(step["at"]) for step in self._plan(group)} for group in groups}

    def _plan(self, group: str) -> list[dict[str, Any]]:
        at = ObjectId.parse(group)
        found = self._api.get(at.kind, at.namespace, at.name) or {"metadata": {}}
        try:
            return list(json.loads((found["metadata"].get("annotations") or {}).get(PLAN, "[]")))
        except ValueError:
            return []

    def _write(self, group: str, plan: list[dict[str, Any]]) -> None:
        at = ObjectId.parse(group)
        text = json.dumps(plan) if plan else None
        self._api.patch(at.kind, at.namespace, at.name, {"metadata": {"annotations": {PLAN: text}}})

    def _apply(self, found: Group, step: StepDown, size: int) -> list[str]:
        """What is due is done now. A standby that is smaller already is left alone."""
        if step.level is Keep.COLD:
            if found.maximum == 0 and found.desired == 0:
                return []
            self._workloads.hold(found.name, 0)
        elif found.minimum > size or found.desired > size:
            self._workloads.let_scale(found.name, size, max(found.maximum, size))
            if found.desired > size:
                self._resize(found.name, size)
        else:
            return []
        return [f"{found.name} became {step.level}, which was due at {step.at:%Y-%m-%d %H:%M:%S} UTC"]

    def _resize(self, group: str, size: int) -> None:
        at = ObjectId.parse(group)
        self._api.patch(at.kind, at.namespace, at.name, {"spec": {"replicas": size}})

    def _schedule(self, group: str, plan: list[dict[str, Any]]) -> None:
        """One CronJob for each step of the plan, and none besides; who may not touch CronJobs and has no image needs none."""
        at = ObjectId.parse(group)
        wanted = {_job_name(at, step["name"]): step for step in plan} if self._image else {}
        try:
            held = {
                job["metadata"]["name"]: job for job in self._api.list("CronJob", at.namespace, {WORKLOAD_LABEL: _mark(at)})
            }
        except ClusterError:
            if self._image:
                raise
            return
        for name in held.keys() - wanted.keys():
            self._api.delete("CronJob", at.namespace, name)
        if not wanted:
            return
        scaler = self._workloads.scaler(group)
        for name, step in wanted.items():
            job = self._job(at, name, step, plan, scaler)
            if name in held and held[name]["spec"]["schedule"] == job["spec"]["schedule"]:
                continue
            if name in held:
                self._api.delete("CronJob", at.namespace, name)
            try:
                self._api.create("CronJob", job)
            except Changed:
                continue

    def _job(
        self, at: ObjectId, name: str, step: dict[str, Any], plan: list[dict[str, Any]], scaler: Object | None
    ) -> dict[str, Any]:
        """kubectl in a container that may do nothing else ("Pod Security Standards", restricted)."""
        later = [each for each in plan if each["at"] > step["at"]]
        commands = _commands(at, step, later, scaler)
        labels = {WORKLOAD_LABEL: _mark(at)}
        container = {
            "name": "step-down",
            "image": self._image,
            "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}},
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
                "readOnlyRootFilesystem": True,
            },
        }
        *first, last = commands
        pod: dict[str, Any] = {
            "restartPolicy": "OnFailure",
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            # One after the other, and none after one that failed.
            "initContainers": [{**container, "name": f"step-{n}", "args": args} for n, args in enumerate(first)],
            "containers": [{**container, "args": last}],
        }
        if self._account:
            pod["serviceAccountName"] = self._account
        job = {"backoffLimit": 3, "template": {"metadata": {"labels": labels}, "spec": pod}}
        spec = {
            "schedule": _cron(moment(step["at"])),
            "timeZone": "Etc/UTC",
            "concurrencyPolicy": "Forbid",
            "startingDeadlineSeconds": 86_400,
            "jobTemplate": {"spec": job},
        }
        return {"metadata": {"name": name, "namespace": at.namespace, "labels": labels}, "spec": spec}


def _entry(step: StepDown, policy: StandbyPolicy, at_flip: int) -> dict[str, Any]:
    at = f"{step.at:%Y-%m-%dT%H:%M:%SZ}"
    return {"name": step.name, "at": at, "level": step.level.value, "size": _size(step.level, policy, at_flip)}


def _size(level: Keep, policy: StandbyPolicy, at_flip: int) -> int:
    return 0 if level is Keep.COLD else min(policy.warm_minimum, at_flip)


def _mark(at: ObjectId) -> str:
    return hashlib.sha256(str(at).encode()).hexdigest()[:16]


def _job_name(at: ObjectId, step: str) -> str:
    return f"{step}-{_mark(at)}"[:JOB_NAME_LIMIT]


def _cron(at: datetime) -> str:
    """The first whole minute that is not before it ("CronJob", schedule syntax)."""
    minute = at if at.second == 0 else at.replace(second=0) + timedelta(minutes=1)
    return f"{minute.minute} {minute.hour} {minute.day} {minute.month} *"


def _commands(at: ObjectId, step: dict[str, Any], later: list[dict[str, Any]], scaler: Object | None) -> list[list[str]]:
    """The scaler's minimum before the workload's size, or it would put that up again. The plan is tested first and changed
    last: a pod that ended in between is followed by one that does all of it."""
    place = f"/metadata/annotations/{PLAN.replace('~', '~0').replace('/', '~1')}"
    test = {"op": "test", "path": place, "value": json.dumps([step, *later])}
    left = {"op": "replace", "path": place, "value": json.dumps(later)} if later else {"op": "remove", "path": place}
    size = {"op": "replace", "path": "/spec/replicas", "value": step["size"]}
    last = _kubectl(at, at.kind, "json", [test, left, size])
    held = _scaler_patch(step["size"], scaler) if scaler is not None else None
    if scaler is None or held is None:
        return [last]
    return [_kubectl(at, at.kind, "json", [test]), _kubectl(at, scaler["kind"], "merge", held), last]


def _scaler_patch(size: int, scaler: Object) -> dict[str, Any] | None:
    """The scaler's minimum; one of 0 replicas is left alone by an HPA, and held by an annotation for KEDA."""
    if scaler["kind"] == HPA:
        return {"spec": {"minReplicas": size}} if size else None
    return {"spec": {"minReplicaCount": size}} if size else {"metadata": {"annotations": {PAUSED: "0"}}}


def _kubectl(at: ObjectId, kind: str, how: str, patch: Any) -> list[str]:
    """Arguments of kubectl, which is the image's entry point."""
    return ["patch", kind.lower(), at.name, "--namespace", at.namespace, "--type", how, "--patch", json.dumps(patch)]
