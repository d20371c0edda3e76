"""ALB target groups filled with pods by their TargetGroupBindings, under traffic through the local load balancer."""

from typing import Any

import boto3
import pytest
from local_cluster_world import DEPLOYMENT, DIGESTS, Traffic, World, is_true, wait_for

from turnout.cluster import watching
from turnout.cluster.target_groups import gate_of

pytestmark = pytest.mark.timeout(300)
SIDES = ("blue", "green")


class Account:
    """The load balancer of a service on EKS, and its target groups of type ip."""

    def __init__(self, world: World) -> None:
        self.world = world
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
        ec2 = boto3.client("ec2", endpoint_url=world.cloud.endpoint, **keys)
        self.elb: Any = boto3.client("elbv2", endpoint_url=world.cloud.endpoint, **keys)
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        subnets = [
            ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{number}.0/24", AvailabilityZone=f"us-east-1{zone}")["Subnet"][
                "SubnetId"
            ]
            for number, zone in enumerate("ab")
        ]
        balancer = self.elb.create_load_balancer(Name="web", Subnets=subnets)["LoadBalancers"][0]["LoadBalancerArn"]
        self.groups = {side: self._group(side, vpc) for side in SIDES}
        listener = self.elb.create_listener(
            LoadBalancerArn=balancer, Protocol="HTTP", Port=80, DefaultActions=self._forward(blue=100, green=0)
        )
        self.listener = listener["Listeners"][0]["ListenerArn"]

    def _group(self, side: str, vpc: str) -> str:
        group = self.elb.create_target_group(
            Name=side,
            Protocol="HTTP",
            Port=8000,
            VpcId=vpc,
            TargetType="ip",
            HealthCheckPath=f"/ready?release={DIGESTS[side]}",
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
        (balancer,) = self.world.cloud.state()["load_balancers"]
        return str(balancer["listeners"][0]["url"])

    def binding(self, side: str) -> dict[str, Any]:
        """As `ModelDeployment` declares it."""
        spec = {
            "targetGroupARN": self.groups[side],
            "targetType": "ip",
            "serviceRef": {"name": f"tiny-{side}", "port": 80},
        }
        return self.world.object("elbv2.k8s.aws/v1beta1", "TargetGroupBinding", f"tiny-{side}", spec)


@pytest.fixture(scope="module")
def account(local_world: World) -> Account:
    world = local_world.within("eks")
    found = Account(world)
    for side in SIDES:
        binding, deployment = found.binding(side), world.deployment(side, 2)
        deployment["spec"]["template"]["spec"]["readinessGates"] = [{"conditionType": gate_of(binding)}]
        world.apply(binding, world.service(side), deployment)
    for side in SIDES:
        world.await_ready(side, 2)
    return found


def test_a_pod_is_ready_when_its_target_is_healthy_and_not_before(account: Account) -> None:
    for side in SIDES:
        ips = {pod["status"]["podIP"] for pod in account.world.pods(side)}
        assert account.states(side) == dict.fromkeys(ips, "healthy")
    unused = account.world.deployment("green", 3)
    gates = [{"conditionType": gate_of(account.binding("green"))}]
    unused["spec"]["template"]["spec"]["readinessGates"] = [*gates, {"conditionType": "example.com/never"}]
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


def test_a_binding_that_is_gone_leaves_no_target(account: Account) -> None:
    account.world.client.delete(watching.TARGET_GROUP_BINDING.main, "tiny-blue", namespace="eks")
    wait_for("an empty group", lambda: not account.states("blue"))
    account.world.apply(account.binding("blue"))
    wait_for("a filled group", lambda: sorted(account.states("blue").values()) == ["healthy", "healthy"])
