"""ALB target groups filled with pods by their TargetGroupBindings, under traffic through the local load balancer: by the
stand-in and, which is slow, by the AWS Load Balancer Controller itself where it was built."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from local_cluster_world import DEPLOYMENT, DIGESTS, Traffic, World, is_true
from turnout_components.service_namespace import READINESS_GATES

from benchmarks.waiting import wait_for
from tests.kubernetes.conftest import CONTROLLER, STAND_IN
from turnout.cluster import watching
from turnout.cluster.target_groups import gate_of

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.parametrize(
        "balanced_world", [STAND_IN, pytest.param(CONTROLLER, marks=pytest.mark.slow)], indirect=True, scope="module"
    ),
]
SIDES = ("blue", "green")


class Account:
    """The load balancer of a service on EKS, and its target groups of type ip."""

    def __init__(self, world: World) -> None:
        self.world = world
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
        ec2 = boto3.client("ec2", endpoint_url=world.cloud.endpoint, **keys)
        self.elb: Any = boto3.client("elbv2", endpoint_url=world.cloud.endpoint, **keys)
        self.vpc = vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        subnets = [
            ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{number}.0/24", AvailabilityZone=f"us-east-1{zone}")["Subnet"][
                "SubnetId"
            ]
            for number, zone in enumerate("ab")
        ]
        balancer = self.elb.create_load_balancer(Name="web", Subnets=subnets)["LoadBalancers"][0]["LoadBalancerArn"]
        self.groups = {side: self.group(side, f"/ready?release={DIGESTS[side]}") for side in SIDES}
        listener = self.elb.create_listener(
            LoadBalancerArn=balancer, Protocol="HTTP", Port=80, DefaultActions=self._forward(blue=100, green=0)
        )
        self.listener = listener["Listeners"][0]["ListenerArn"]

    def group(self, name: str, path: str) -> str:
        """A target group's ARN; `path` is asked for health."""
        group = self.elb.create_target_group(
            Name=name,
            Protocol="HTTP",
            Port=8000,
            VpcId=self.vpc,
            TargetType="ip",
            HealthCheckPath=path,
            HealthCheckIntervalSeconds=5,
            HealthCheckTimeoutSeconds=4,
            HealthyThresholdCount=2,
            UnhealthyThresholdCount=2,
        )
        return str(group["TargetGroups"][0]["TargetGroupArn"])

    def _forward(self, **weights: int) -> list[dict[str, Any]]:
        targets = [{"TargetGroupArn": self.groups[side], "Weight": weight} for side, weight in weights.items()]
        return [{"Type": "forward", "ForwardConfig": {"TargetGroups": targets}}]

    def set_weights(self, **weights: int) -> None:
        """As the switch does it on EC2."""
        self.elb.modify_listener(ListenerArn=self.listener, DefaultActions=self._forward(**weights))

    def states(self, side: str) -> dict[str, str]:
        """Target states by address."""
        answer = self.elb.describe_target_health(TargetGroupArn=self.groups[side])
        return {one["Target"]["Id"]: one["TargetHealth"]["State"] for one in answer["TargetHealthDescriptions"]}

    def url(self) -> str:
        """Where the listener really is."""
        balancers = self.world.cloud.state()["load_balancers"]
        (url,) = (each["url"] for one in balancers for each in one["listeners"] if each["arn"] == self.listener)
        return str(url)

    def fail(self, side: str) -> None:
        """Lets every check of the side's targets fail."""
        self.elb.modify_target_group(TargetGroupArn=self.groups[side], Matcher={"HttpCode": "299"})

    def unbind(self, side: str) -> None:
        """Deletes the side's binding, and waits until its group is empty and its pods are told."""
        world, bindings = self.world, watching.TARGET_GROUP_BINDING.main
        world.client.delete(bindings, f"tiny-{side}", namespace=world.namespace)
        wait_for("an empty group", lambda: not self.states(side))
        gate = gate_of(self.binding(side))
        deleted = "Target Group Binding is deleted"
        wait_for("pods told", lambda: {condition(pod, gate).get("message") for pod in world.pods(side)} == {deleted})
        wait_for(
            "binding gone",
            lambda: (
                f"tiny-{side}"
                not in [one["metadata"]["name"] for one in world.client.list(bindings, namespace=world.namespace)]
            ),
        )

    def binding(self, side: str) -> dict[str, Any]:
        """As `ModelDeployment` declares it."""
        spec = {
            "targetGroupARN": self.groups[side],
            "targetType": "ip",
            "serviceRef": {"name": f"tiny-{side}", "port": 80},
        }
        return self.world.object("elbv2.k8s.aws/v1beta1", "TargetGroupBinding", f"tiny-{side}", spec)


def condition(pod: dict[str, Any], kind: str) -> dict[str, Any]:
    return next((dict(one) for one in pod["status"]["conditions"] if one["type"] == kind), {"status": "Unknown"})


def gates(pod: dict[str, Any]) -> list[str]:
    return [gate["conditionType"] for gate in pod["spec"].get("readinessGates") or ()]


def made(world: World, side: str) -> dict[str, Any]:
    """A pod of the environment as admission makes it; it is not kept."""
    template = world.deployment(side, 1)["spec"]["template"]
    pod = {**world.object("v1", "Pod", "tried", template["spec"]), "metadata": {**template["metadata"], "name": "tried"}}
    return dict(world.client.create(watching.POD.main(pod), namespace=world.namespace, dry_run=True))


def await_gate(world: World, side: str, gate: str) -> None:
    """The webhook knows of the binding a moment after the API server."""
    wait_for(f"{gate} in new pods", lambda: gate in gates(made(world, side)))


@pytest.fixture(scope="module", autouse=True)
def account(balanced_world: World) -> Iterator[Account]:
    world = balanced_world.within("eks", READINESS_GATES)
    found = Account(world)
    for side in SIDES:
        binding = found.binding(side)
        world.apply(world.service(side), binding)
        await_gate(world, side, gate_of(binding))
        world.apply(world.deployment(side, 2))
    for side in SIDES:
        world.await_ready(side, 2)
    yield found
    world.end()


def test_a_pod_is_ready_when_its_target_is_healthy_and_not_before(account: Account) -> None:
    for side in SIDES:
        ips = {pod["status"]["podIP"] for pod in account.world.pods(side)}
        assert account.states(side) == dict.fromkeys(ips, "healthy")
    unused = account.world.deployment("green", 3)
    unused["spec"]["template"]["spec"]["readinessGates"] = [{"conditionType": "example.com/never"}]
    unused["metadata"]["name"] = "gated"
    unused["spec"]["replicas"] = 1
    account.world.apply(unused)

    def gated() -> list[dict[str, Any]]:
        named = [pod for pod in account.world.pods("green") if pod["metadata"]["name"].startswith("gated")]
        return [pod for pod in named if is_true(pod, gate_of(account.binding("green")))]

    (pod,) = wait_for("a gate that is open", gated)
    assert is_true(pod, "ContainersReady")
    assert not is_true(pod, "Ready")
    account.world.client.delete(DEPLOYMENT.main, "gated", namespace="eks")
    wait_for("two targets", lambda: sorted(account.states("green").values()) == ["healthy", "healthy"])


def test_nothing_is_lost_over_weights_and_the_replacement_of_pods(account: Account) -> None:
    world = account.world
    with Traffic(account.url()).flowing() as traffic:
        traffic.passed()
        account.set_weights(blue=0, green=100)
        seen = len(traffic.digests)
        traffic.passed()
        assert set(traffic.digests[seen + 3 :]) == {DIGESTS["green"]}
        for name in world.await_ready("green", 2):
            world.delete_pod(name)
            wait_for("pod gone", lambda gone=name: gone not in [pod["metadata"]["name"] for pod in world.pods("green")])
            world.await_ready("green", 2)
        wait_for("two targets", lambda: sorted(account.states("green").values()) == ["healthy", "healthy"])
        traffic.passed()
    assert traffic.lost() == {}


def test_pods_of_a_namespace_without_the_label_get_no_gate(account: Account) -> None:
    world, bound = account.world.within("plain"), account.binding("blue")
    spec = {**bound["spec"], "targetGroupARN": account.group("plain", "/")}
    world.apply(world.service("blue"), world.object(bound["apiVersion"], bound["kind"], "tiny-blue", spec))
    assert gates(made(account.world, "blue")) == [gate_of(bound)]
    assert gates(made(world, "blue")) == []


def test_a_binding_that_is_gone_leaves_no_target(account: Account) -> None:
    account.unbind("blue")
    for _ in range(2):
        account.world.apply(account.binding("blue"))
    wait_for("a filled group", lambda: sorted(account.states("blue").values()) == ["healthy", "healthy"])


def test_an_open_gate_stays_open_and_a_shut_one_opens_when_its_binding_goes(account: Account) -> None:
    world = account.world
    before = sorted(world.await_ready("green", 2))
    account.fail("green")
    wait_for("unhealthy targets", lambda: list(account.states("green").values()) == ["unhealthy"] * 2)
    world.apply(world.deployment("green", 3))
    wait_for("a third unhealthy target", lambda: list(account.states("green").values()) == ["unhealthy"] * 3)
    assert sorted(world.ready("green")) == before
    account.unbind("green")
    world.await_ready("green", 3)
