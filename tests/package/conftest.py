"""An account in moto with what a team already has: a load balancer, target groups, auto scaling groups; and stacks in it."""

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
from turnout_components.items import create_table

from tests.moto_server import empty, moto_server
from turnout.engine.crypto import Secrets
from turnout.engine.deployment import Deployment
from turnout.engine.store import StackStore
from turnout.providers import registry
from turnout.providers.aws.clients import ENDPOINT_KEYS

REGION = "us-east-1"
NOWHERE = "http://127.0.0.1:9"
"""For previews, which ask nothing of an account."""
ENVIRONMENTS = ("blue", "green")


def provider_inputs(endpoint: str) -> dict[str, Any]:
    """Inputs of an AWS provider of a local cloud, as they come by the wire."""
    skipped = ("CredentialsValidation", "MetadataApiCheck", "RegionValidation", "RequestingAccountId")
    return {
        "region": REGION,
        "accessKey": "test",
        "secretKey": "test",
        "endpoints": json.dumps([dict.fromkeys(sorted(ENDPOINT_KEYS), endpoint)]),
        **{f"skip{name}": "true" for name in skipped},
    }


@dataclass
class Stack:
    """A stack of the local engine; `events` are those of the last operation."""

    folder: Path
    project: str
    events: list[dict[str, Any]] = field(default_factory=list)

    def deployment(self, config: dict[str, str] | None = None) -> Deployment:
        self.events.clear()
        kept = self.folder / "salt"
        salt = kept.read_text() if kept.exists() else ""
        secrets = Secrets(salt, lambda: ["for tests only"], lambda text: kept.write_text(text) and None)
        store = StackStore(self.folder / "home", self.project, "dev", secrets)
        return Deployment(store, registry(), self.events.append, str(self.folder), config or {})

    def said(self) -> str:
        """What the program and the engine said, secrets masked."""
        return "".join(event["diagnosticEvent"]["message"] for event in self.events if "diagnosticEvent" in event)

    def registered(self) -> dict[str, dict[str, Any]]:
        """What was planned, by URN: inputs, parent."""
        steps = [event["resourcePreEvent"]["metadata"]["new"] for event in self.events if "resourcePreEvent" in event]
        return {step["urn"]: {key: step[key] for key in ("inputs", "parent")} for step in steps if step is not None}


@pytest.fixture
def make_stack(tmp_path: Path) -> Callable[[str], Stack]:
    def make(project: str) -> Stack:
        (tmp_path / project).mkdir()
        return Stack(tmp_path / project, project)

    return make


@dataclass(frozen=True)
class Team:
    """What a team has: `groups` and `target_groups` by environment, each group with an instance in service."""

    endpoint: str
    vpc: str
    subnets: list[str]
    balancer: str
    target_groups: dict[str, str]
    groups: dict[str, str]

    def api(self, service: str) -> Any:
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        return boto3.client(service, region_name=REGION, endpoint_url=self.endpoint, **keys)

    def listeners(self) -> dict[int, dict[str, int]]:
        """Weights by environment of every listener that forwards to these target groups, by port."""
        names = {arn: name for name, arn in self.target_groups.items()}
        found = self.api("elbv2").describe_listeners(LoadBalancerArn=self.balancer)["Listeners"]
        return {
            listener["Port"]: {
                names[group["TargetGroupArn"]]: group["Weight"]
                for group in listener["DefaultActions"][0]["ForwardConfig"]["TargetGroups"]
            }
            for listener in found
        }

    def withdraw(self, environment: str) -> None:
        """Nothing of the environment's group is a target any more."""
        group, arns = self.groups[environment], [self.target_groups[environment]]
        self.api("autoscaling").detach_load_balancer_target_groups(AutoScalingGroupName=group, TargetGroupARNs=arns)

    def bring_back(self, environment: str) -> None:
        group, arns = self.groups[environment], [self.target_groups[environment]]
        self.api("autoscaling").attach_load_balancer_target_groups(AutoScalingGroupName=group, TargetGroupARNs=arns)


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with moto_server() as url:
        yield url


@pytest.fixture
def team(endpoint: str) -> Team:
    empty(endpoint)
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}

    def api(service: str) -> Any:
        return boto3.client(service, region_name=REGION, endpoint_url=endpoint, **keys)

    ec2, elbv2, autoscaling = api("ec2"), api("elbv2"), api("autoscaling")
    vpc = ec2.create_vpc(CidrBlock="10.8.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.8.{at}.0/24", AvailabilityZone=f"us-east-1{zone}")["Subnet"]["SubnetId"]
        for at, zone in enumerate("ab")
    ]
    balancer = elbv2.create_load_balancer(Name="theirs", Subnets=subnets)["LoadBalancers"][0]["LoadBalancerArn"]
    data = {"ImageId": "ami-12c6146b", "InstanceType": "g5.xlarge", "UserData": base64.b64encode(b"#!/bin/sh").decode()}
    ec2.create_launch_template(LaunchTemplateName="theirs", LaunchTemplateData=data)
    target_groups = {}
    for name in ENVIRONMENTS:
        made = elbv2.create_target_group(Name=f"theirs-{name}", Protocol="HTTP", Port=8000, VpcId=vpc)
        target_groups[name] = made["TargetGroups"][0]["TargetGroupArn"]
        autoscaling.create_auto_scaling_group(
            AutoScalingGroupName=f"theirs-{name}",
            LaunchTemplate={"LaunchTemplateName": "theirs", "Version": "$Latest"},
            MinSize=1,
            MaxSize=3,
            DesiredCapacity=1,
            VPCZoneIdentifier=",".join(subnets),
            TargetGroupARNs=[target_groups[name]],
        )
    create_table(api("dynamodb"), "turnout-switch", protect=False)
    return Team(endpoint, vpc, subnets, balancer, target_groups, {name: f"theirs-{name}" for name in ENVIRONMENTS})
