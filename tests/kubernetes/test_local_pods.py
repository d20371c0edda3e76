"""What a kubelet decides, in pure pieces: specifications, probes, back-off, status; and what a target group is told."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from gateway_objects import found, slice_of
from turnout_components.kubernetes_names import COMPONENT_LABEL, ENVIRONMENT_LABEL, MANIFEST_ANNOTATION, WORKER

from turnout.cloud.health import Answer
from turnout.cloud.world import Check
from turnout.cluster import pod_spec, pod_status, readiness_gates, target_groups
from turnout.cluster.pod_spec import LIVENESS, READINESS, PodError, Reference
from turnout.cluster.pod_status import Ended, Life
from turnout.cluster.probes import ProbeBook
from turnout.cluster.target_groups import Registered

IMAGE = "local/tiny@sha256:" + "1" * 64
RELEASE = {"name": "tiny", "digest": "sha256:" + "b" * 64, "image": "local/old@sha256:" + "2" * 64, "engine": {"flags": []}}


def pod(**server: Any) -> dict[str, Any]:
    """A pod of ours on a node."""
    container = {"name": "server", "image": IMAGE, "ports": [{"name": "http", "containerPort": 8000}], **server}
    metadata = {
        "name": "tiny-1",
        "namespace": "shop",
        "uid": "1",
        "labels": {ENVIRONMENT_LABEL: "blue"},
        "annotations": {MANIFEST_ANNOTATION: json.dumps(RELEASE)},
    }
    return {"metadata": metadata, "spec": {"nodeName": "gpu-0", "containers": [container]}}


def test_a_pod_says_what_runs_and_how_it_is_asked() -> None:
    get = {"httpGet": {"path": "/ready", "port": "http"}}
    probes = {"readinessProbe": {**get, "periodSeconds": 3}, "livenessProbe": {"tcpSocket": {"port": 8000}}}
    env = [{"name": "A", "value": "1"}, {"name": "B", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "b"}}}]
    hook = {"preStop": {"sleep": {"seconds": 20}}}
    read = pod_spec.read(pod(**probes, env=env, lifecycle=hook, envFrom=[{"secretRef": {"name": "all"}}]))
    assert read.release == {**RELEASE, "image": IMAGE}
    assert read.probes[READINESS].check == Check("/ready", 3.0, 1.0, 1, 3, "200-399")
    assert (read.probes[LIVENESS].tcp, read.probes[LIVENESS].check.interval) == (True, 10.0)
    assert (read.values, read.references, read.secrets) == ({"A": "1"}, {"B": Reference("keys", "b")}, ("all",))
    assert (read.pre_stop, read.headless, read.environment) == (20.0, False, "blue")
    worker = pod()
    worker["metadata"]["labels"][COMPONENT_LABEL] = WORKER
    assert pod_spec.read(worker).headless


@pytest.mark.parametrize(
    ("server", "said"),
    [
        ({"name": "other"}, "no container 'server'"),
        ({"livenessProbe": {"exec": {"command": ["x"]}}}, "livenessProbe is neither"),
        ({"readinessProbe": {"httpGet": {"path": "/", "port": 9}}}, "asks port 9"),
        ({"readinessProbe": {"httpGet": {"path": "/", "port": "http", "scheme": "HTTPS"}}}, "HTTPS"),
        ({"lifecycle": {"preStop": {"exec": {"command": ["x"]}}}}, "preStop"),
        ({"env": [{"name": "C", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "d"}}}]}, "configMapKeyRef"),
        ({"envFrom": [{"configMapRef": {"name": "c"}}]}, "envFrom"),
    ],
)
def test_what_cannot_be_carried_out_is_refused_by_name(server: dict[str, Any], said: str) -> None:
    with pytest.raises(PodError, match=said):
        pod_spec.read(pod(**server))


def test_the_grace_is_that_of_the_deletion_then_the_pod_s_then_30() -> None:
    given = pod()
    assert pod_spec.grace_of(given) == 30
    given["spec"]["terminationGracePeriodSeconds"] = 65
    assert pod_spec.grace_of(given) == 65
    given["metadata"]["deletionGracePeriodSeconds"] = 0
    assert pod_spec.grace_of(given) == 0


def test_restarts_wait_0_10_20_and_at_most_300_and_are_forgiven_after_10_minutes() -> None:
    waits, last = [], 0.0
    for number in range(8):
        last = pod_status.back_off(last, 1.0, number == 0)
        waits.append(last)
    assert waits == [0, 10, 20, 40, 80, 160, 300, 300]
    assert pod_status.back_off(300, 600, False) == 0


def test_a_probe_s_verdict_needs_its_threshold_in_a_row() -> None:
    book, check = ProbeBook(), Check("/", 1, 1, 2, 3, "200-399")
    results = [book.record(("run", READINESS), Answer(status=code), check) for code in (200, 500, 200, 204)]
    assert (results, book.good("run", READINESS)) == ([False, False, False, True], True)
    assert [book.record(("run", READINESS), Answer(error="timeout"), check) for _ in range(3)] == [False, False, True]
    assert (book.good("run", READINESS), book.good("run", LIVENESS)) == (False, None)
    book.forget("run")
    assert book.good("run", READINESS) is None


def conditions(status: dict[str, Any]) -> dict[str, str]:
    return {one["type"]: one["status"] for one in status["conditions"]}


def test_a_pod_is_ready_when_its_containers_and_all_its_gates_are() -> None:
    images, running = {"server": IMAGE}, Life(since=100.0, started=True, ready=True)
    open_, shut = {"gate": True}, {"gate": False}
    assert conditions(pod_status.document(running, images, open_, 90.0))["Ready"] == "True"
    gated = pod_status.document(running, images, shut, 90.0)
    assert (conditions(gated)["ContainersReady"], conditions(gated)["Ready"]) == ("True", "False")
    assert gated["conditions"][-1]["reason"] == "ReadinessGatesNotReady"
    creating = pod_status.document(Life(), images, {}, 90.0)
    assert (creating["phase"], conditions(creating)["Ready"]) == ("Pending", "False")
    ended = Life(waiting=pod_status.BACK_OFF, restarts=1, last=Ended(137, 100.0, 110.0))
    crashed = pod_status.document(ended, images, {}, 90.0)
    (server,) = crashed["containerStatuses"]
    assert (crashed["phase"], server["state"]["waiting"]["reason"]) == ("Running", "CrashLoopBackOff")
    assert (server["restartCount"], server["lastState"]["terminated"]["exitCode"]) == (1, 137)


def test_a_condition_keeps_the_moment_of_its_last_change() -> None:
    images = {"server": IMAGE}
    first = pod_status.stamped(pod_status.document(Life(since=1.0), images, {}, 1.0), {}, 1000.0)
    later = pod_status.stamped(pod_status.document(Life(1.0, started=True, ready=True), images, {}, 1.0), first, 2000.0)
    moments = {one["type"]: one["lastTransitionTime"] for one in later["conditions"]}
    assert moments["Initialized"] == pod_status.moment(1000.0)
    assert moments["Ready"] == pod_status.moment(2000.0)


def bound(change: Callable[[dict[str, Any]], None] = lambda _: None, **registered: str) -> target_groups.Plan:
    """What is to be done for a binding whose Service has one pod at 10.0.0.1; `registered`: states by last part."""
    binding = found("TargetGroupBinding", "tiny", {"targetType": "ip", "serviceRef": {"name": "tiny", "port": 80}})
    service = found("Service", "tiny", {"ports": [{"name": "http", "port": 80}]})
    world = {"pod": copy.deepcopy(pod()), "slice": slice_of("tiny", ("10.0.0.1", {"ready": False}))}
    world["slice"]["endpoints"][0]["targetRef"] = {"kind": "Pod", "name": "tiny-1"}
    world["pod"]["spec"]["readinessGates"] = [{"conditionType": target_groups.gate_of(binding)}]
    world["pod"]["status"] = {"conditions": [{"type": "ContainersReady", "status": "True"}]}
    change(world)
    held = {(f"10.0.0.{name[1:]}", 8000): Registered(state) for name, state in registered.items()}
    return target_groups.plan(binding, [service], [world["slice"]], {("shop", "tiny-1"): world["pod"]}, held)


def _leaves(world: dict[str, Any]) -> None:
    world["slice"]["endpoints"][0]["conditions"] = {"ready": False, "serving": True, "terminating": True}


def _loads(world: dict[str, Any]) -> None:
    world["pod"]["status"]["conditions"] = [{"type": "ContainersReady", "status": "False"}]


def _has_no_gate(world: dict[str, Any]) -> None:
    world["pod"]["spec"]["readinessGates"] = []


def _is_open(world: dict[str, Any]) -> None:
    kind = f"{target_groups.GATE}/tiny"
    world["pod"]["status"]["conditions"].append({"type": kind, "status": "True", "reason": "", "message": ""})


def test_a_pod_is_registered_when_its_containers_are_ready() -> None:
    assert bound().register == (("10.0.0.1", 8000),)
    assert bound(_loads).register == ()
    without = bound(_has_no_gate)
    assert (without.register, without.gates) == ((("10.0.0.1", 8000),), ())


def test_who_leaves_is_deregistered_once_and_what_is_not_ours_too() -> None:
    assert bound(_leaves, _1="healthy").deregister == (("10.0.0.1", 8000),)
    assert bound(_leaves, _1="draining").deregister == ()
    assert bound(_1="healthy", _9="unhealthy").deregister == (("10.0.0.9", 8000),)


def test_a_gate_opens_when_the_target_is_healthy_and_stays_open_until_it_is_registered_anew() -> None:
    ((_, new),) = bound().gates
    ((_, healthy),) = bound(_1="healthy").gates
    assert (new.state, new.reason) == ("initial", "Elb.RegistrationInProgress")
    assert healthy == Registered("healthy")
    assert bound(_is_open, _1="healthy").gates == ()
    assert bound(_is_open, _1="unhealthy").gates == ()
    assert [found for _, found in bound(_is_open, _1="draining").gates] == [new]
    assert [found for _, found in bound(_is_open).gates] == [new]


def _binding(name: str, service: str, kind: str = "ip") -> dict[str, Any]:
    return found("TargetGroupBinding", name, {"targetType": kind, "serviceRef": {"name": service, "port": 80}})


def test_a_new_pod_lacks_the_gates_of_the_bindings_whose_services_select_it() -> None:
    made = pod()
    chosen, other = [found("Service", name, {"selector": {"app": value}}) for name, value in (("tiny", "tiny"), ("big", "big"))]
    made["metadata"]["labels"] = {"app": "tiny", "more": "yes"}
    bindings = [_binding("a", "tiny"), _binding("b", "big"), _binding("c", "tiny", "instance"), _binding("d", "gone")]
    services = [chosen, other, found("Service", "all", {})]
    assert readiness_gates.missing_gates(made, bindings, services) == [f"{target_groups.GATE}/a"]
    assert readiness_gates.missing_gates(made, [_binding("e", "all")], services) == []
    made["spec"]["readinessGates"] = [{"conditionType": f"{target_groups.GATE}/a"}]
    assert readiness_gates.missing_gates(made, bindings, services) == []


def test_gates_are_added_to_those_that_a_pod_has() -> None:
    made = pod()
    first, second = readiness_gates.patches(made, ["one"])
    assert (first["path"], first["value"]) == ("/spec/readinessGates", [])
    assert (second["path"], second["value"]) == ("/spec/readinessGates/-", {"conditionType": "one"})
    made["spec"]["readinessGates"] = [{"conditionType": "own"}]
    assert [patch["path"] for patch in readiness_gates.patches(made, ["one", "two"])] == ["/spec/readinessGates/-"] * 2
    assert readiness_gates.patches(made, []) == []
