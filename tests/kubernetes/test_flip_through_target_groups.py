"""The switch on EKS in brief: its gate, its record and pods of a real API server behind target groups, under traffic. The
whole program by `turnout up` is in test_flip_on_kubernetes, which is slow."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import boto3
import pytest
from local_cluster_world import DIGESTS, Traffic, World
from turnout_components import switch_record
from turnout_components.gate import Candidate, SwitchGate, decide
from turnout_components.items import create_table
from turnout_components.platforms import Place, platform
from turnout_components.resolve import EnvironmentConfig, SwitchConfig, SwitchRefused
from turnout_components.rollback import rollback
from turnout_components.switch_record import Operator, RecordStore

pytestmark = pytest.mark.timeout(300)
NAMESPACE, TABLE, SIDES = "brief", "brief-switch", ("blue", "green")
RELEASES = {side: f"tiny-{side}@{DIGESTS[side]}" for side in SIDES}


class Switched:
    """A service whose pods are the targets of a load balancer, two an environment, and its switch."""

    def __init__(self, world: World) -> None:
        self.world = world.within(NAMESPACE)
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
        self.api: Callable[[str], Any] = lambda name: boto3.client(name, endpoint_url=world.cloud.endpoint, **keys)
        create_table(self.api("dynamodb"), TABLE, protect=False)
        place = Place("eks", TABLE, cluster="of-nobody", kubeconfig=str(world.cloud.kubeconfig))
        self.there = platform(place, self.api)
        self.store = RecordStore(self.there.items, "tiny", "local")
        self._balance()
        for side in SIDES:
            binding = {
                "targetGroupARN": self.groups[side],
                "targetType": "ip",
                "serviceRef": {"name": f"tiny-{side}", "port": 80},
            }
            bound = self.world.object("elbv2.k8s.aws/v1beta1", "TargetGroupBinding", f"tiny-{side}", binding)
            self.world.apply(self.world.deployment(side, 2), self.world.service(side), bound)

    def _balance(self) -> None:
        ec2, balancing = self.api("ec2"), self.api("elbv2")
        vpc = ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
        blocks = {"us-east-1a": "10.1.0.0/24", "us-east-1b": "10.1.1.0/24"}
        made = [ec2.create_subnet(VpcId=vpc, CidrBlock=block, AvailabilityZone=zone) for zone, block in blocks.items()]
        subnets = [one["Subnet"]["SubnetId"] for one in made]
        balancer = balancing.create_load_balancer(Name="brief", Subnets=subnets)["LoadBalancers"][0]
        checked = {"HealthCheckIntervalSeconds": 5, "HealthCheckTimeoutSeconds": 4, "HealthyThresholdCount": 2}
        self.groups: dict[str, str] = {}
        for side in SIDES:
            path = f"/ready?release={DIGESTS[side]}"
            group = {"Name": f"brief-{side}", "Protocol": "HTTP", "Port": 8000, "VpcId": vpc, "TargetType": "ip"}
            found = balancing.create_target_group(**group, HealthCheckPath=path, **checked)["TargetGroups"][0]
            self.groups[side] = found["TargetGroupArn"]
        forward = [{"TargetGroupArn": self.groups[side], "Weight": weight} for side, weight in (("blue", 100), ("green", 0))]
        listener = balancing.create_listener(
            LoadBalancerArn=balancer["LoadBalancerArn"],
            Protocol="HTTP",
            Port=80,
            DefaultActions=[{"Type": "forward", "ForwardConfig": {"TargetGroups": forward}}],
        )
        self.listener: str = listener["Listeners"][0]["ListenerArn"]

    def url(self) -> str:
        """Where the users' listener really is."""
        balancers = self.world.cloud.state()["load_balancers"]
        return next(str(each["url"]) for one in balancers for each in one["listeners"] if each["arn"] == self.listener)

    async def move(self, active: str) -> None:
        """What an update does that gives all traffic to `active`."""
        wish = SwitchConfig(
            switch_record.Traffic.all_to(active, SIDES),
            {side: EnvironmentConfig(RELEASES[side], 2, 4) for side in SIDES},
        )
        decide(self.store, self.there.live, wish, settle=True, step_downs=self.there.step_downs)
        found = {
            side: Candidate(self.groups[side], f"Deployment/{NAMESPACE}/tiny-{side}", RELEASES[side], 2, 4) for side in SIDES
        }
        gate = SwitchGate(self.store, self.there.live, wish, timeout=timedelta(seconds=60), step_downs=self.there.step_downs)
        await gate.before(found, wish.traffic.weights)
        self.there.live.set_weights(self.listener, {self.groups[side]: weight for side, weight in wish.traffic.weights.items()})
        await gate.after(self.listener, found)

    def weights(self) -> dict[str, int]:
        """In force, by environment."""
        found = self.there.live.weights(self.listener) or {}
        return {side: found[self.groups[side]] for side in SIDES}


@pytest.fixture
def service(local_world: World) -> Iterator[Switched]:
    made = Switched(local_world)
    yield made
    made.world.end()


async def test_a_flip_and_its_rollback_lose_no_request_and_a_refused_flip_moves_none(service: Switched) -> None:
    await service.move("blue")
    with Traffic(service.url()).flowing() as traffic:
        traffic.passed()
        await service.move("green")
        assert service.weights() == {"blue": 0, "green": 100}
        traffic.passed()
        rollback(service.store, service.there.live, operator=Operator.current(), step_downs=service.there.step_downs)
        assert service.weights() == {"blue": 100, "green": 0}
        await service.move("blue")  # config says what the rollback has asked for, and then green once more
        with pytest.raises(SwitchRefused, match="marked unstable"):
            await service.move("green")
        assert service.weights() == {"blue": 100, "green": 0}
        traffic.passed()
    print(f"{len(traffic.answers)} requests, lost: {traffic.lost() or 0}")
    assert traffic.lost() == {}
    assert set(traffic.digests) == set(DIGESTS.values())
    assert set(traffic.digests[-10:]) == {DIGESTS["blue"]}
