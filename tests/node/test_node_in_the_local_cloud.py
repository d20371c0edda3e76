"""The node's real scripts against the local cloud: its group holds an instance until they say so."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from machine import DIGEST, GROUP, PROJECT, Machine, sha256, wait_for
from services import AutoScaling, Exposition, Metadata, serving
from turnout_components.user_data import LAUNCH_HOOK, TERMINATE_HOOK

from turnout.cloud import client
from turnout.cloud.client import CloudHandle

MODEL = (PROJECT / "examples/digits/models/1.0.0.onnx").read_bytes()


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[CloudHandle]:
    started = client.start(tmp_path / "home", attached=True, images=[], speed=10.0, root=PROJECT)
    yield started
    started.stop()


@pytest.fixture
def machine(tmp_path: Path, cloud: CloudHandle) -> Iterator[Machine]:
    metadata, folder = Metadata(), tmp_path / "machine"
    folder.mkdir()
    with serving(metadata) as metadata_url:
        made = Machine(folder, cloud.endpoint, metadata, metadata_url, AutoScaling(), cloud.endpoint)
        try:
            yield made
        finally:
            made.power_off()


def launch(machine: Machine) -> str:
    """A group of one instance with both hooks, and user data that starts nothing here: the instance."""
    ec2 = machine.api("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24", AvailabilityZone="us-east-1a")["Subnet"]["SubnetId"]
    template = {"ImageId": "ami-1", "InstanceType": "g5.xlarge", "UserData": "IyEvYmluL2Jhc2gK"}
    ec2.create_launch_template(LaunchTemplateName="node", LaunchTemplateData=template)
    hooks = {LAUNCH_HOOK: ("LAUNCHING", "ABANDON"), TERMINATE_HOOK: ("TERMINATING", "CONTINUE")}
    machine.api("autoscaling").create_auto_scaling_group(
        AutoScalingGroupName=GROUP,
        MinSize=0,
        MaxSize=1,
        DesiredCapacity=1,
        LaunchTemplate={"LaunchTemplateName": "node", "Version": "$Latest"},
        VPCZoneIdentifier=subnet,
        LifecycleHookSpecificationList=[
            {
                "LifecycleHookName": name,
                "LifecycleTransition": f"autoscaling:EC2_INSTANCE_{transition}",
                "DefaultResult": result,
                "HeartbeatTimeout": 300,
            }
            for name, (transition, result) in hooks.items()
        ],
    )
    wait_for("the launch hook's wait", lambda: [i["LifecycleState"] for i in instances(machine)] == ["Pending:Wait"])
    return str(instances(machine)[0]["InstanceId"])


def instances(machine: Machine) -> list[dict[str, Any]]:
    answer = machine.api("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[GROUP])
    found: list[dict[str, Any]] = answer["AutoScalingGroups"][0]["Instances"]
    return found


def test_the_scripts_bring_an_instance_into_service_protect_it_and_let_it_go(machine: Machine) -> None:
    instance = launch(machine)
    machine.metadata.values["meta-data/instance-id"] = instance
    machine.put({"digits/1.0.0.onnx": MODEL})
    machine.metadata.goes_to("InService")
    release = machine.release("s3://models/digits/1.0.0.onnx", sha256(MODEL), ("--drain-seconds=0.2",))
    machine.boot(release, protect_streams=True)
    wait_for("the instance in service", lambda: instances(machine)[0]["LifecycleState"] == "InService")
    assert DIGEST in str(machine.docker_calls("run"))

    with serving(Exposition("turnout_requests_running 1\n")) as streaming:
        machine.extra["PORT_OF_METRICS"] = streaming.rpartition(":")[2]
        env = machine.root / "etc/turnout/node.env"
        env.write_text(env.read_text() + 'PORT="${PORT_OF_METRICS:-$PORT}"\n')
        assert machine.run("metrics").returncode == 0
    assert instances(machine)[0]["ProtectedFromScaleIn"] is True

    machine.api("autoscaling").terminate_instance_in_auto_scaling_group(
        InstanceId=instance, ShouldDecrementDesiredCapacity=True
    )
    wait_for("the terminate hook's wait", lambda: instances(machine)[0]["LifecycleState"] == "Terminating:Wait")
    machine.metadata.goes_to("Terminated")
    wait_for("the end of the instance", lambda: instances(machine) == [])
    assert machine.container() is None
