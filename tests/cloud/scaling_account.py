"""For tests: groups, policies and metrics in a cloud whose minutes last a second."""

import itertools
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cloud_account import IMAGES, Account

from turnout.cloud import client

SPEED = 60.0
MINUTE = 60 / SPEED


@contextmanager
def fast_account(home: Path) -> Iterator[Account]:
    """A cloud with a load balancer and two target groups, sixty times as fast as AWS."""
    cloud = client.start(home, attached=True, images=[IMAGES], speed=SPEED, root=IMAGES)
    try:
        account = Account(cloud)
        account.build()
        yield account
    except BaseException:
        print((home / "cloud" / "daemon.log").read_text()[-6000:])
        raise
    finally:
        cloud.stop()


def bare_group(account: Account, name: str, minimum: int, desired: int, maximum: int) -> None:
    """A group whose instances run no server of ours: its metrics come from the test alone."""
    template = {"ImageId": "ami-1", "InstanceType": "g5.xlarge"}
    account.api("ec2").create_launch_template(LaunchTemplateName=name, LaunchTemplateData=template)
    account.api("autoscaling").create_auto_scaling_group(
        AutoScalingGroupName=name,
        MinSize=minimum,
        MaxSize=maximum,
        DesiredCapacity=desired,
        LaunchTemplate={"LaunchTemplateName": name, "Version": "$Latest"},
        VPCZoneIdentifier=",".join(account.subnets),
    )


def desired(account: Account, name: str) -> int:
    """The group's desired capacity."""
    groups = account.api("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"]
    return int(groups[0]["DesiredCapacity"])


def state(account: Account, alarm: str) -> str:
    """The alarm's state."""
    (found,) = account.api("cloudwatch").describe_alarms(AlarmNames=[alarm])["MetricAlarms"]
    return str(found["StateValue"])


def publish(account: Account, group: str, **values: float) -> None:
    """One report of a node: `PendingRequests=3`."""
    by = [{"Name": "AutoScalingGroupName", "Value": group}]
    data = [{"MetricName": name, "Value": value, "Dimensions": by} for name, value in values.items()]
    account.api("cloudwatch").put_metric_data(Namespace="Turnout", MetricData=data)


def publish_for(account: Account, minutes: int, group: str, **values: float) -> None:
    """A report in the middle of each of so many minutes."""
    for _ in range(minutes):
        time.sleep(MINUTE - (time.time() + MINUTE / 2) % MINUTE)
        publish(account, group, **values)


def watch(account: Account, name: str, seconds: float) -> list[int]:
    """The desired capacities that were seen one after the other."""
    seen: list[int] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        seen.append(desired(account, name))
        time.sleep(0.05)
    return [value for value, _ in itertools.groupby(seen)]
