"""EC2 auto scaling groups as the switch's workloads: sizes, instances in service, launches."""

from collections.abc import Mapping
from typing import Any

from turnout_components.live import Group
from turnout_components.standby import Launch

IN_SERVICE = "InService"
WARMED = ("Warmed:Stopped", "Warmed:Running", "Warmed:Hibernated")


class AutoScalingGroups:
    """`Workloads` by the group's name; ids are instances'. `autoscaling` is boto3's client."""

    def __init__(self, autoscaling: Any) -> None:
        self._autoscaling = autoscaling

    def group(self, name: str) -> Group | None:
        """The group of that name, or None."""
        found = self._autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"]
        if not found:
            return None
        group = found[0]
        ids = frozenset(i["InstanceId"] for i in group["Instances"] if i["LifecycleState"] == IN_SERVICE)
        present = sum(not i["LifecycleState"].startswith("Warmed") for i in group["Instances"])
        return Group(name, group["MinSize"], group["MaxSize"], group["DesiredCapacity"], ids, present - len(ids))

    def set_minimum(self, name: str, minimum: int, maximum: int = 0) -> None:
        """Sets the group's minimum; a desired capacity or maximum below it follows, since AWS refuses a minimum above either
        ("UpdateAutoScalingGroup", EC2 Auto Scaling API). The maximum becomes `maximum` at least."""
        group = self.group(name)
        sizes: dict[str, int] = {"MinSize": minimum}
        if group is not None and group.desired < minimum:
            sizes["DesiredCapacity"] = minimum
        if group is not None and group.maximum < max(minimum, maximum):
            sizes["MaxSize"] = max(minimum, maximum)
        self._autoscaling.update_auto_scaling_group(AutoScalingGroupName=name, **sizes)

    def hold(self, name: str, size: int) -> None:
        """Holds the group at just this size: its bounds and its desired capacity. What is too much drains before it ends."""
        sizes = {"MinSize": size, "MaxSize": size, "DesiredCapacity": size}
        self._autoscaling.update_auto_scaling_group(AutoScalingGroupName=name, **sizes)

    def let_scale(self, name: str, minimum: int, maximum: int) -> None:
        """Lets a group that was held scale between these bounds again."""
        self._autoscaling.update_auto_scaling_group(AutoScalingGroupName=name, MinSize=minimum, MaxSize=maximum)

    def restore(self, before: Group) -> None:
        """Gives a group its minimum back, and its desired capacity where that is still the one that `set_minimum` raised."""
        group = self.group(before.name)
        if group is None:
            return
        sizes = {"MinSize": before.minimum}
        if before.desired < group.desired == group.minimum:
            sizes["DesiredCapacity"] = before.desired
        self._autoscaling.update_auto_scaling_group(AutoScalingGroupName=before.name, **sizes)

    def warm(self, name: str) -> int:
        """Instances that are ready in the group's warm pool."""
        found = self._autoscaling.describe_warm_pool(AutoScalingGroupName=name).get("Instances") or []
        return sum(item["LifecycleState"] in WARMED for item in found)

    def launches(self, name: str) -> list[Launch]:
        """The group's launches that AWS remembers (six weeks: "DescribeScalingActivities"), the newest first."""
        return [
            Launch((activity["EndTime"] - activity["StartTime"]).total_seconds(), _from_warm_pool(activity))
            for activity in self._launch_activities(name)
            if activity["StatusCode"] == "Successful"
        ]

    def coming(self, name: str) -> list[bool]:
        """The launches under way: whether each comes from the warm pool."""
        return [_from_warm_pool(activity) for activity in self._launch_activities(name) if "EndTime" not in activity]

    def failed_launch(self, name: str) -> str | None:
        """Why the group's newest launch failed; None where it did not, or is still under way."""
        found = self._autoscaling.describe_scaling_activities(AutoScalingGroupName=name, MaxRecords=20)["Activities"]
        newest = next((activity for activity in found if activity["Description"].startswith("Launching")), None)
        if newest is None or newest["StatusCode"] not in ("Failed", "Cancelled"):
            return None
        return str(newest.get("StatusMessage") or newest["StatusCode"])

    def _launch_activities(self, name: str) -> list[dict[str, Any]]:
        found = self._autoscaling.describe_scaling_activities(AutoScalingGroupName=name, MaxRecords=50)["Activities"]
        return [
            activity
            for activity in found
            if activity["Description"].startswith("Launching") and "into warm pool" not in activity["Description"]
        ]


def _from_warm_pool(activity: Mapping[str, Any]) -> bool:
    return "from warm pool" in activity["Description"]
