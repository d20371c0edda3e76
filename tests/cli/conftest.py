"""A project in a temporary folder, AWS's API on loopback (moto), and a service as a first `up` leaves it."""

# ruff: noqa: ARG001 -- fixtures are named to be had, not always to be used

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from turnout_components.items import DynamoItems, create_table
from turnout_components.rollout_spec import RolloutSpec
from turnout_components.switch_record import EnvironmentState, Operator, RecordStore, Retained, SwitchRecord, Traffic
from typer.testing import CliRunner, Result

from tests.moto_server import empty, moto_server
from turnout.cli import app
from turnout.rollout.status import Event, RolloutStatus

OLD = "digits-1.0.0@sha256:" + "1" * 64
NEW = "digits-2.0.0@sha256:" + "2" * 64
BEGAN = datetime(2026, 1, 2, 3, tzinfo=UTC)
STACK: dict[str, Any] = {
    "config": {
        "turnout:service": "digits",
        "turnout:cloud": "local",
        "turnout:region": "us-east-1",
        "turnout:releases": "releases",
        "turnout:environments": {"blue": {"release": OLD}, "green": {"release": NEW}},
        "turnout:traffic": {"active": "green"},
    }
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with the stacks local and prod; the current folder is in it."""
    (tmp_path / "Pulumi.yaml").write_text("name: turnout\nruntime: python\nmain: infra/\nstackConfigDir: stacks/\n")
    (tmp_path / "stacks").mkdir()
    (tmp_path / "releases").mkdir()
    (tmp_path / "stacks/Pulumi.local.yaml").write_text(yaml.safe_dump(STACK))
    prod = {"config": {**STACK["config"], "turnout:cloud": "aws"}}
    (tmp_path / "stacks/Pulumi.prod.yaml").write_text(yaml.safe_dump(prod))
    monkeypatch.chdir(tmp_path / "stacks")
    for variable in ("TURNOUT_HOME", "TURNOUT_STACK", "TURNOUT_LOCAL_ENDPOINT"):
        monkeypatch.delenv(variable, raising=False)
    return tmp_path


@pytest.fixture
def turnout() -> Callable[..., Result]:
    """Runs a command line."""
    runner = CliRunner()
    return lambda *arguments: runner.invoke(app, list(arguments))


@pytest.fixture(scope="session")
def aws_server() -> Iterator[str]:
    with moto_server() as url:
        yield url


@pytest.fixture
def aws(aws_server: str, project: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """Clients of an empty account, which the project's stack local is in (so after `project`)."""
    monkeypatch.setenv("TURNOUT_LOCAL_ENDPOINT", aws_server)
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
    empty(aws_server)
    return lambda service: boto3.client(service, endpoint_url=aws_server, **keys)


def begun(**fields: Any) -> RolloutStatus:
    """A rollout of NEW on green that has just begun, with these fields."""
    spec = fields.pop("spec", RolloutSpec())
    status = RolloutStatus(
        id="digits-2.0.0-20260102-030000",
        spec=spec,
        plan=spec.plan(),
        stable="blue",
        candidate="green",
        releases={"blue": OLD, "green": NEW},
        began=BEGAN,
        by="anna@ci-1",
        total=2,
        step_began=BEGAN,
        events=(Event(at=BEGAN, what="began", why="canary by anna@ci-1"),),
    )
    return status.changed(**fields)


class Deployed:
    """Two environments behind a listener; green is active since a flip, blue is kept."""

    def __init__(self, aws: Callable[[str], Any]) -> None:
        self.elbv2 = aws("elbv2")
        ec2 = aws("ec2")
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        zones = ("us-east-1a", "us-east-1b")
        subnets = [
            ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{n}.0/24", AvailabilityZone=zone)["Subnet"]["SubnetId"]
            for n, zone in enumerate(zones)
        ]
        self.groups = {name: self._target_group(name, vpc) for name in ("blue", "green")}
        balancer = self.elbv2.create_load_balancer(Name="digits", Subnets=subnets)["LoadBalancers"][0]["LoadBalancerArn"]
        forward = {"TargetGroups": [{"TargetGroupArn": self.groups[n], "Weight": w} for n, w in (("blue", 0), ("green", 100))]}
        action = {"Type": "forward", "ForwardConfig": forward}
        created = self.elbv2.create_listener(LoadBalancerArn=balancer, Protocol="HTTP", Port=80, DefaultActions=[action])
        self.listener = created["Listeners"][0]["ListenerArn"]
        self._auto_scaling(aws("autoscaling"), aws("ec2"), subnets)
        self.store = RecordStore(DynamoItems(aws("dynamodb"), "turnout-switch"), "digits", "local")
        create_table(aws("dynamodb"), "turnout-switch", protect=False)
        self.store.write(self._record())

    def _target_group(self, name: str, vpc: str) -> str:
        made = self.elbv2.create_target_group(Name=name, Protocol="HTTP", Port=8000, VpcId=vpc)
        return str(made["TargetGroups"][0]["TargetGroupArn"])

    def _auto_scaling(self, autoscaling: Any, ec2: Any, subnets: list[str]) -> None:
        ec2.create_launch_template(LaunchTemplateName="node", LaunchTemplateData={"ImageId": "ami-12c6146b"})
        for name, arn in self.groups.items():
            autoscaling.create_auto_scaling_group(
                AutoScalingGroupName=f"digits-{name}",
                MinSize=2,
                MaxSize=4,
                LaunchTemplate={"LaunchTemplateName": "node"},
                TargetGroupARNs=[arn],
                VPCZoneIdentifier=",".join(subnets),
            )

    def _record(self) -> SwitchRecord:
        now = datetime.now(UTC)
        green = Traffic.all_to("green", ("blue", "green"))
        states = {
            name: EnvironmentState(target_group=arn, group=f"digits-{name}", release=release)
            for (name, arn), release in zip(self.groups.items(), (OLD, NEW), strict=True)
        }
        record = SwitchRecord(
            key="digits/local",
            listener=self.listener,
            traffic=green,
            config_base=green,
            flipped_at=now,
            retained=Retained(environment="blue", release=OLD, minimum=2),
            environments=states,
        )
        return record.noted(now, str(Operator(name="ann", host="desk", pid=1)), "flip")

    def weights(self) -> dict[str, int]:
        """What the load balancer does, by environment."""
        action = self.elbv2.describe_listeners(ListenerArns=[self.listener])["Listeners"][0]["DefaultActions"][0]
        names = {arn: name for name, arn in self.groups.items()}
        return {names[g["TargetGroupArn"]]: g["Weight"] for g in action["ForwardConfig"]["TargetGroups"]}


@pytest.fixture
def deployed(aws: Callable[[str], Any]) -> Deployed:
    return Deployed(aws)
