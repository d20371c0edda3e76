"""For tests: groups, policies and metrics in a cloud whose minutes last a second."""

import base64
import hashlib
import itertools
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cloud_account import DIGESTS, IMAGES, Account, get
from turnout_components.autoscaling_policy import IDLE
from turnout_components.scaling_rules import STEP_DEFAULTS
from turnout_components.user_data import render

from tests.cloud import prepared_cloud
from turnout.cloud import images

SPEED = 60.0
MINUTE = 60 / SPEED
QUEUE = Path(__file__).parent / "queue_image"


@contextmanager
def fast_account(home: Path) -> Iterator[Account]:
    """A cloud with a load balancer and two target groups, sixty times as fast as AWS."""
    cloud = prepared_cloud.start(home, attached=True, images=[IMAGES, QUEUE], speed=SPEED, root=IMAGES)
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


def publish(account: Account, groups: Mapping[str, Mapping[str, float]]) -> None:
    """One report of the nodes of each group: `{"blue": {"PendingRequests": 3}}`."""
    data = [
        {"MetricName": name, "Value": value, "Dimensions": [{"Name": "AutoScalingGroupName", "Value": group}]}
        for group, values in groups.items()
        for name, value in values.items()
    ]
    if data:
        account.api("cloudwatch").put_metric_data(Namespace="Turnout", MetricData=data)


def publish_for(account: Account, minutes: int, group: str, **values: float) -> None:
    """A report in the middle of each of so many minutes."""
    publish_all(account, minutes, {group: values})


def publish_all(account: Account, minutes: int, groups: Mapping[str, Mapping[str, float]]) -> None:
    """The same for several groups."""
    for _ in range(minutes):
        time.sleep(MINUTE - (time.time() + MINUTE / 2) % MINUTE)
        publish(account, groups)


def watch(account: Account, name: str, seconds: float) -> list[int]:
    """The desired capacities that were seen one after the other."""
    seen: list[int] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        seen.append(desired(account, name))
        time.sleep(0.05)
    return [value for value, _ in itertools.groupby(seen)]


def serving_group(account: Account, name: str, minimum: int, maximum: int, **options: Any) -> None:
    """A group of the server with few places, behind the target group `name`."""
    release = {
        "name": f"queue-{name}",
        "digest": DIGESTS[name],
        "image": images.read(QUEUE).reference,
        "model": {
            "name": "m",
            "version": "1",
            "uri": "file:model.txt",
            "sha256": "sha256:" + hashlib.sha256((QUEUE / "model.txt").read_bytes()).hexdigest(),
        },
        "engine": {"name": "queue", "flags": []},
    }
    data = base64.b64encode(render("queue", name, release, 8000, 30, group=name, **options).encode()).decode()
    template = {"ImageId": "ami-1", "InstanceType": "g5.xlarge", "UserData": data}
    account.api("ec2").create_launch_template(LaunchTemplateName=name, LaunchTemplateData=template)
    account.api("autoscaling").create_auto_scaling_group(
        AutoScalingGroupName=name,
        MinSize=minimum,
        MaxSize=maximum,
        LaunchTemplate={"LaunchTemplateName": name, "Version": "$Latest"},
        VPCZoneIdentifier=",".join(account.subnets),
        TargetGroupARNs=[account.groups[name]],
    )


def seeds_rule(account: Account, group: str, warmup: int = 120) -> None:
    """The step rule as the component declares it, by API."""
    scaling, watcher = account.api("autoscaling"), account.api("cloudwatch")
    arns = {
        name: scaling.put_scaling_policy(
            AutoScalingGroupName=group,
            PolicyName=name,
            PolicyType="StepScaling",
            AdjustmentType="ChangeInCapacity",
            EstimatedInstanceWarmup=warmup,
            StepAdjustments=[{"MetricIntervalLowerBound": 0, "ScalingAdjustment": change}],
        )["PolicyARN"]
        for name, change in (("out", STEP_DEFAULTS["add"]), ("in", -STEP_DEFAULTS["remove"]))
    }
    by = [{"Name": "AutoScalingGroupName", "Value": group}]
    for metric, statistic, limit in (("PendingRequests", "Sum", "pending"), ("GPUUtilization", "Average", "gpu")):
        watcher.put_metric_alarm(
            AlarmName=f"{group}-{limit}",
            Namespace="Turnout",
            MetricName=metric,
            Statistic=statistic,
            Dimensions=by,
            Period=60,
            EvaluationPeriods=1,
            Threshold=STEP_DEFAULTS[limit],
            ComparisonOperator="GreaterThanThreshold",
            TreatMissingData="notBreaching",
            AlarmActions=[arns["out"]],
        )

    def query(id: str, metric: str, statistic: str) -> dict[str, Any]:
        named = {"Namespace": "Turnout", "MetricName": metric, "Dimensions": by}
        return {"Id": id, "MetricStat": {"Metric": named, "Period": 60, "Stat": statistic}, "ReturnData": False}

    watcher.put_metric_alarm(
        AlarmName=f"{group}-idle",
        Metrics=[
            {"Id": "idle", "Expression": IDLE.format(gpu=STEP_DEFAULTS["idle_gpu"]), "ReturnData": True},
            query("waiting", "PendingRequests", "Sum"),
            query("gpu", "GPUUtilization", "Average"),
            query("waiting_reports", "PendingRequests", "SampleCount"),
            query("gpu_reports", "GPUUtilization", "SampleCount"),
        ],
        EvaluationPeriods=STEP_DEFAULTS["idle_minutes"],
        Threshold=1,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        TreatMissingData=STEP_DEFAULTS["missing_data"],
        AlarmActions=[arns["in"]],
    )


class Users:
    """So many users who each ask again and again, until `leave`. `seen`: answers by status."""

    def __init__(self, url: str, number: int, work: float, pause: float = 0.0) -> None:
        self.seen: Counter[int | str] = Counter()
        self._url, self._work, self._pause = url, work, pause
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._ask, daemon=True) for _ in range(number)]
        for thread in self._threads:
            thread.start()

    def leave(self) -> None:
        """Ends when every answer has come."""
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _ask(self) -> None:
        while not self._over.is_set():
            try:
                self.seen[get(self._url, headers={"x-work": str(self._work)})[0]] += 1
            except OSError as error:
                self.seen[type(error).__name__] += 1
            self._over.wait(self._pause)
