"""For tests: a real local cloud in a temporary home, and a client that builds a small blue-green service in it."""

import base64
import hashlib
import http.client
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from turnout_components.user_data import LAUNCH_HOOK, TERMINATE_HOOK, Options, render

from benchmarks.waiting import wait_for
from turnout.cloud import client, images
from turnout.cloud.client import CloudHandle

IMAGES = Path(__file__).parent / "image"
SPEED = 20.0
HOOKS = [
    {
        "LifecycleHookName": LAUNCH_HOOK,
        "LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING",
        "DefaultResult": "ABANDON",
        "HeartbeatTimeout": 60,
    },
    {
        "LifecycleHookName": TERMINATE_HOOK,
        "LifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING",
        "DefaultResult": "CONTINUE",
        "HeartbeatTimeout": 60,
    },
]
"""The hooks that the kit's pools declare."""
NODE: Options = {"hooks": {"launch": LAUNCH_HOOK, "terminate": TERMINATE_HOOK}}
DIGESTS = {"blue": "sha256:" + "b" * 64, "green": "sha256:" + "9" * 64}


def get(url: str, path: str = "/", headers: dict[str, str] | None = None) -> tuple[int, bytes, dict[str, str]]:
    """One request on a new connection."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
    try:
        connection.request("GET", path, headers=headers or {})
        response = connection.getresponse()
        return response.status, response.read(), {k.lower(): v for k, v in response.getheaders()}
    finally:
        connection.close()


@dataclass
class Account:
    """What the tests ask of AWS's API."""

    cloud: CloudHandle
    groups: dict[str, str] = field(default_factory=dict)
    clients: dict[str, Any] = field(default_factory=dict)
    subnets: list[str] = field(default_factory=list)

    def api(self, service: str) -> Any:
        """A boto3 client that does not retry."""
        if service not in self.clients:
            self.clients[service] = boto3.client(
                service,
                endpoint_url=self.cloud.endpoint,
                region_name="us-east-1",
                aws_access_key_id="test",
                aws_secret_access_key="test",
                config=Config(retries={"total_max_attempts": 1}),
            )
        return self.clients[service]

    def build(self, image: str | None = None, sha256: str | None = None) -> None:
        """VPC, load balancer, two target groups, production and test listener; no instances yet."""
        ec2, elb = self.api("ec2"), self.api("elbv2")
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        for number, zone in enumerate(("us-east-1a", "us-east-1b")):
            subnet = ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{number}.0/24", AvailabilityZone=zone)
            self.subnets.append(subnet["Subnet"]["SubnetId"])
        balancers = elb.create_load_balancer(Name="web", Subnets=self.subnets)["LoadBalancers"]
        self.balancer = balancers[0]["LoadBalancerArn"]
        for name, digest in DIGESTS.items():
            self.groups[name] = elb.create_target_group(
                Name=name,
                Protocol="HTTP",
                Port=8000,
                VpcId=vpc,
                HealthCheckPath=f"/ready?release={digest}",
                HealthCheckIntervalSeconds=5,
                HealthCheckTimeoutSeconds=2,
                HealthyThresholdCount=2,
                UnhealthyThresholdCount=2,
            )["TargetGroups"][0]["TargetGroupArn"]
        self.image = image or images.read(IMAGES).reference
        self.sha256 = sha256 or "sha256:" + hashlib.sha256((IMAGES / "model.txt").read_bytes()).hexdigest()

    def listen(self, port: int = 80, **weights: int) -> str:
        """A listener with these weights."""
        listener: str = self.api("elbv2").create_listener(
            LoadBalancerArn=self.balancer, Protocol="HTTP", Port=port, DefaultActions=self.forward(**weights)
        )["Listeners"][0]["ListenerArn"]
        return listener

    def forward(self, **weights: int) -> list[dict[str, Any]]:
        """A weighted forward action."""
        targets = [{"TargetGroupArn": self.groups[name], "Weight": weight} for name, weight in weights.items()]
        return [{"Type": "forward", "ForwardConfig": {"TargetGroups": targets}}]

    def launch(self, name: str, count: int, node: Options | None = None, **group: Any) -> None:
        """A launch template and an auto scaling group of `count` instances behind the target group `name`. `node`: what user
        data says more; `group`: more of CreateAutoScalingGroup."""
        release = {
            "name": f"tiny-{name}",
            "digest": DIGESTS[name],
            "image": self.image,
            "model": {"name": "m", "version": "1", "uri": "file:model.txt", "sha256": self.sha256},
            "engine": {"name": "tiny", "flags": []},
        }
        data = base64.b64encode(render("tiny", name, release, 8000, 30, **(node or {})).encode()).decode()
        template = {"ImageId": "ami-1", "InstanceType": "g5.xlarge", "UserData": data}
        self.api("ec2").create_launch_template(LaunchTemplateName=name, LaunchTemplateData=template)
        settings = {
            "MinSize": count,
            "MaxSize": max(count, 5),
            "LaunchTemplate": {"LaunchTemplateName": name, "Version": "$Latest"},
            "VPCZoneIdentifier": ",".join(self.subnets),
            "TargetGroupARNs": [self.groups[name]],
            **group,
        }
        given = {key: value for key, value in settings.items() if value is not None}
        self.api("autoscaling").create_auto_scaling_group(AutoScalingGroupName=name, **given)

    def states(self, name: str) -> dict[str, str]:
        """Target states by instance, as DescribeTargetHealth says."""
        answer = self.api("elbv2").describe_target_health(TargetGroupArn=self.groups[name])
        return {d["Target"]["Id"]: d["TargetHealth"]["State"] for d in answer["TargetHealthDescriptions"]}

    def await_states(self, name: str, *wanted: str) -> dict[str, str]:
        """Waits until the target group has exactly these states."""
        wait_for(f"{wanted} in {name}", lambda: sorted(self.states(name).values()) == sorted(wanted))
        return self.states(name)

    def lifecycle(self, group: str) -> dict[str, str]:
        """Lifecycle states by instance, as DescribeAutoScalingGroups says."""
        answer = self.api("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[group])
        return {i["InstanceId"]: i["LifecycleState"] for i in answer["AutoScalingGroups"][0]["Instances"]}

    def url(self, listener: str) -> str:
        """Where the listener really is."""
        listeners = [found for lb in self.cloud.state()["load_balancers"] for found in lb["listeners"]]
        return next(str(found["url"]) for found in listeners if found["arn"] == listener)

    def instance(self, name: str) -> dict[str, Any]:
        """The instance `name` as the cloud's state shows it, or an empty dict."""
        return next((i for i in self.cloud.state()["instances"] if i["id"] == name), {})


@contextmanager
def running_cloud(home: Path, speed: float = SPEED, start: Callable[..., CloudHandle] = client.start) -> Iterator[CloudHandle]:
    """A cloud that ends with the block."""
    cloud = start(home, attached=True, images=[IMAGES], speed=speed, root=IMAGES)
    try:
        yield cloud
    except BaseException:
        print((home / "cloud" / "daemon.log").read_text()[-4000:])
        raise
    finally:
        cloud.stop()
