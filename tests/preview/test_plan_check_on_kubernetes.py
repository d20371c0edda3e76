"""The switch in a line, what interrupts the service and which GPUs come and go, where a service runs on Kubernetes."""

from copy import deepcopy
from typing import Any

import pytest

from tests.preview.plans import FLIPPED, TARGETS, forwarding, listener, planned, step
from turnout.preview.changes import UNKNOWN, resources
from turnout.preview.text import lines
from turnout.preview.traffic import live

ROUTE = "kubernetes:gateway.networking.k8s.io/v1:HTTPRoute"
GATEWAY = "kubernetes:gateway.networking.k8s.io/v1:Gateway"
SERVICE = "kubernetes:core/v1:Service"
DEPLOYMENT = "kubernetes:apps/v1:Deployment"
WORKERS = "kubernetes:leaderworkerset.x-k8s.io/v1:LeaderWorkerSet"
BINDING = "kubernetes:elbv2.k8s.aws/v1beta1:TargetGroupBinding"
SCALER = "kubernetes:keda.sh/v1alpha1:ScaledObject"
AUTOSCALER = "kubernetes:autoscaling/v2:HorizontalPodAutoscaler"
NAMESPACE = "kubernetes:core/v1:Namespace"


def named(name: str, **rest: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "shop"}, **rest}


def routed(weights: dict[str, int], **spec: Any) -> dict[str, Any]:
    refs = [{"name": f"shop-{name}", "port": 80, "weight": weight} for name, weight in weights.items()]
    tests = {"matches": [{"headers": [{"name": "x-variant", "value": "b"}]}], "backendRefs": [{"name": "shop-green"}]}
    spec = {"parentRefs": [{"name": "public", "namespace": "edge"}], "rules": [tests, {"backendRefs": refs}], **spec}
    return named("shop", spec=spec)


BLUE, GREEN = {"blue": 100, "green": 0}, {"blue": 0, "green": 100}
FLIP = step("update", "shop-route", ROUTE, old=routed(BLUE), new=routed(GREEN))
STILL = step("same", "shop-route", ROUTE, old=routed(BLUE), new=routed(BLUE))


def service(environment: str, op: str = "same") -> dict[str, Any]:
    inputs = named(f"shop-{environment}", spec={"selector": {"turnout.dev/environment": environment}})
    return step(op, f"{environment}-service", SERVICE, old=inputs, new=None if op == "delete" else inputs, keys=("spec",))


def pods(environment: str, gpus: int = 1, **spec: Any) -> dict[str, Any]:
    limits = {"limits": {"nvidia.com/gpu": gpus, "memory": "12Gi"}}
    labels = {"turnout.dev/environment": environment, "turnout.dev/release": "0af3"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "server", "resources": limits}]}}
    return named(f"shop-{environment}-0af3", spec={"replicas": 2, "template": template, **spec})


def workload(environment: str, op: str, **spec: Any) -> dict[str, Any]:
    new = pods(environment, **spec) if op != "delete" else None
    return step(op, f"{environment}-workload", DEPLOYMENT, old=pods(environment), new=new, keys=("metadata.name",))


def why(*steps: dict[str, Any]) -> dict[str, str]:
    plan = planned(*steps, service("blue"), service("green"))
    return {each.resource: each.said for each in plan.interruptions}


def test_the_routes_weights_are_the_switchs_line() -> None:
    assert planned(FLIP, **FLIPPED).traffic == "traffic: blue 100 → green 100; standby blue kept full for 24 h"
    held = resources([FLIP], "old")
    assert live(held, ("blue", "green"), None) == BLUE
    assert live(held, ("blue", "green"), {"blue": 90, "green": 10}) == BLUE, "a rollout moves weights without an update"


@pytest.mark.parametrize("moving", [FLIP, STILL])
@pytest.mark.parametrize(
    ("op", "said"), [("delete", "would be deleted"), ("replace", "would be replaced, because of metadata")]
)
def test_an_active_workload_that_goes_interrupts_and_a_standbys_does_not(moving: dict[str, Any], op: str, said: str) -> None:
    """Also in the update that moves its traffic away: streams and the way back are lost."""
    assert why(moving, workload("blue", op)) == {"blue-workload": f"an active workload {said}"}
    assert why(moving, workload("green", op)) == {}


def test_an_active_workload_may_change_but_not_lose_its_pods_or_its_service() -> None:
    assert why(STILL, workload("blue", "update", replicas=3)) == {}
    assert why(STILL, workload("blue", "update", replicas=0)) == {"blue-workload": "an active workload would have no pods"}
    assert why(STILL, workload("green", "update", replicas=0)) == {}
    elsewhere = pods("blue")["spec"]["template"] | {"metadata": {"labels": {"app": "other"}}}
    assert "leave its Service" in why(STILL, workload("blue", "update", template=elsewhere))["blue-workload"]
    assert why(STILL, workload("blue", "update", template=UNKNOWN)) == {}
    beside = pods("blue") | {"metadata": {"name": "shop-blue-0af3", "namespace": "other"}}
    assert why(STILL, step("delete", "beside", DEPLOYMENT, old=beside)) == {}


def test_an_active_workload_that_a_scaler_takes_over_falls_to_one_pod_first() -> None:
    """Seen on a real API server: tests/kubernetes/test_environment_life.py."""

    def scaled(environment: str, before: int) -> dict[str, Any]:
        old, new = pods(environment, replicas=before), pods(environment)
        del new["spec"]["replicas"]
        return step("update", f"{environment}-workload", DEPLOYMENT, old=old, new=new)

    assert "would fall to one pod" in why(STILL, scaled("blue", 2))["blue-workload"]
    assert why(STILL, scaled("green", 2)) == {}
    assert why(STILL, scaled("blue", 1)) == {}
    unknown = step("update", "blue-workload", DEPLOYMENT, old=pods("blue"), new=named("shop-blue-0af3", spec=UNKNOWN))
    assert why(STILL, unknown) == {}


@pytest.mark.parametrize("op", ["delete", "replace"])
def test_services_routes_gateways_and_their_namespace_interrupt(op: str) -> None:
    assert list(why(STILL, service("blue", op))) == ["blue-service"]
    assert why(STILL, service("green", op)) == {}
    gone = {} if op == "delete" else {"new": routed(BLUE)}
    assert list(why(step(op, "shop-route", ROUTE, old=routed(BLUE), keys=("metadata",), **gone))) == ["shop-route"]
    for place, kind, found in (
        ({"metadata": {"name": "public", "namespace": "edge"}}, GATEWAY, ["it"]),
        ({"metadata": {"name": "public", "namespace": "other"}}, GATEWAY, []),
        ({"metadata": {"name": "shop"}}, NAMESPACE, ["it"]),
        ({"metadata": {"name": "beside"}}, NAMESPACE, []),
    ):
        new = {} if op == "delete" else {"new": place}
        assert list(why(STILL, step(op, "it", kind, old=place, keys=("metadata",), **new))) == found


def test_a_route_for_tests_makes_no_environment_active() -> None:
    rules = [
        {
            "matches": [{"headers": [{"name": "x-turnout-environment", "value": name}]}],
            "backendRefs": [{"name": f"shop-{name}"}],
        }
        for name in ("blue", "green")
    ]
    tests = step("delete", "tests", ROUTE, old=routed(BLUE, rules=rules))
    assert why(STILL, tests, workload("green", "delete")) == {}


def test_a_route_that_sends_nobody_anything_or_leaves_its_gateway_interrupts() -> None:
    for new, said in (
        (routed({"blue": 0, "green": 0}), "would send them to nobody"),
        (routed(BLUE, rules=[]), "would send them to nobody"),
        (routed(BLUE, parentRefs=[{"name": "other"}]), "would leave its Gateway's listener"),
    ):
        assert why(step("update", "shop-route", ROUTE, old=routed(BLUE), new=new)) == {
            "shop-route": f"a route that carries requests {said}"
        }
    unknown = routed(BLUE, rules=UNKNOWN)
    assert why(step("update", "shop-route", ROUTE, old=routed(BLUE), new=unknown)) == {}


def bound(environment: str, to: str | None = None) -> dict[str, Any]:
    spec = {"targetGroupARN": f"${{{environment}.arn}}", "serviceRef": {"name": f"shop-{to or environment}", "port": 80}}
    return named(f"shop-{environment}", spec=spec)


def test_behind_a_load_balancer_bindings_lead_to_the_active_workload() -> None:
    at_alb = listener(BLUE, BLUE)
    ties = [step("same", f"{name}-targets", BINDING, old=bound(name), new=bound(name)) for name in ("blue", "green")]
    assert list(why(at_alb, *ties, workload("blue", "delete"), workload("green", "delete"))) == ["blue-workload"]
    gone = [step("delete", f"{name}-targets", BINDING, old=bound(name)) for name in ("blue", "green")]
    assert list(why(at_alb, *gone)) == ["blue-targets"]
    assert "another Service" in why(at_alb, step("update", "b", BINDING, old=bound("blue"), new=bound("blue", "green")))["b"]
    targets = step("delete", "blue", TARGETS, old={"port": 80})
    assert list(why(step("same", "live", "aws:lb/listener:Listener", old=forwarding(BLUE), new=forwarding(BLUE)), targets)) == [
        "blue"
    ]


PARENT = "urn:pulumi:prod::shop::turnout-components:index:ModelDeployment::shop-blue"


def pools(*steps: dict[str, Any]) -> list[str]:
    return [line.strip() for line in lines(planned(*steps)) if line.strip().startswith("pool ")]


def test_gpus_gained_and_lost_are_told_by_workload() -> None:
    grown = step("update", "w", DEPLOYMENT, old=pods("blue"), new=pods("blue", gpus=4), parent=PARENT)
    assert pools(grown) == ["pool shop-blue: pods 2 → 2, GPUs 2 → 8"]
    assert pools(step("delete", "w", DEPLOYMENT, old=pods("blue"), parent=PARENT)) == ["pool shop-blue: pods 2 → 0, GPUs 2 → 0"]
    assert pools(step("same", "w", DEPLOYMENT, old=pods("blue"), new=pods("blue"), parent=PARENT)) == []


@pytest.mark.parametrize(
    ("kind", "fields"), [(SCALER, ("minReplicaCount", "maxReplicaCount")), (AUTOSCALER, ("minReplicas", "maxReplicas"))]
)
def test_a_scaler_says_how_many_pods_there_may_be(kind: str, fields: tuple[str, str]) -> None:
    def scaler(low: int, high: int) -> dict[str, Any]:
        return named(
            "shop-blue-0af3", spec={"scaleTargetRef": {"name": "shop-blue-0af3"}, **dict(zip(fields, (low, high), strict=True))}
        )

    counted = step("same", "w", DEPLOYMENT, old=pods("blue"), new=pods("blue"), parent=PARENT)
    assert pools(counted, step("update", "s", kind, old=scaler(1, 2), new=scaler(1, 6))) == [
        "pool shop-blue: pods 1 to 2 → 1 to 6, GPUs 1 to 2 → 1 to 6"
    ]
    asleep = deepcopy(scaler(0, 1))
    asleep["metadata"]["annotations"] = {"autoscaling.keda.sh/paused-replicas": "0"}
    if kind == SCALER:
        assert pools(counted, step("update", "s", kind, old=scaler(1, 2), new=asleep)) == [
            "pool shop-blue: pods 1 to 2 → 0, GPUs 1 to 2 → 0"
        ]


def test_a_model_over_several_nodes_counts_the_gpus_of_all_its_pods() -> None:
    def sharded(size: int) -> dict[str, Any]:
        template = pods("blue", gpus=8)["spec"]["template"]
        return named("w", spec={"replicas": 2, "leaderWorkerTemplate": {"size": size, "workerTemplate": template}})

    assert pools(step("update", "w", WORKERS, old=sharded(2), new=sharded(4), parent=PARENT)) == [
        "pool shop-blue: pods 2 → 2, GPUs 32 → 64"
    ]


def test_node_groups_are_pools_of_instances() -> None:
    def nodes(high: int) -> dict[str, Any]:
        return {"instanceTypes": ["g5.12xlarge"], "scalingConfig": {"minSize": 1, "maxSize": high, "desiredSize": 1}}

    assert pools(step("update", "gpus", "aws:eks/nodeGroup:NodeGroup", old=nodes(2), new=nodes(3))) == [
        "pool gpus: instances 1 to 2 → 1 to 3, GPUs 4 to 8 → 4 to 12, GPU memory in GiB 89 to 179 → 89 to 268"
    ]
