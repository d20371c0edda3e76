"""EC2 placement group (terraform-provider-aws internal/service/ec2/ec2_placement_group.go). Only its tags can change."""

from collections.abc import Mapping
from typing import Any, ClassVar

from turnout.engine.provider import AutoName, Fault, NotFound, Properties, ProviderError
from turnout.providers.aws import rules
from turnout.providers.aws.base import Deadline, Ec2Type
from turnout.providers.aws.clients import Cloud, error_code
from turnout.providers.aws.mapping import tag_map

SOURCE = "CreatePlacementGroup"
UNKNOWN = "InvalidPlacementGroup.Unknown"
IN_USE = frozenset({"InvalidPlacementGroup.InUse"})


class PlacementGroup(Ec2Type):
    """aws_placement_group. The id is the name."""

    token = "aws:ec2/placementGroup:PlacementGroup"
    inputs = frozenset({"name", "strategy", "partitionCount", "spreadLevel", "tags"})
    replace_on = frozenset({"name", "strategy", "partitionCount", "spreadLevel"})
    auto_name = AutoName("name", 255)
    defaults: ClassVar[Mapping[str, Any]] = {}
    kind = "placement-group"
    describe = ("describe_placement_groups", "GroupNames", "PlacementGroups", "GroupName")

    def check(self, inputs: Properties) -> list[Fault]:
        """ "CreatePlacementGroup"; resourcePlacementGroupCustomizeDiff; "Placement groups for your Amazon EC2 instances"."""
        faults = rules.required(inputs, "strategy")
        faults += rules.matches(inputs, "name", r"[\x20-\x7e]{1,255}", "1 to 255 ASCII characters", SOURCE)
        faults += rules.one_of(inputs, "strategy", {"cluster", "partition", "spread"}, SOURCE)
        faults += rules.one_of(inputs, "spreadLevel", {"host", "rack"}, SOURCE)
        faults += rules.between(inputs, "partitionCount", 0, 7, "Placement groups for your Amazon EC2 instances")
        strategy = inputs.get("strategy")
        for name, only in (("partitionCount", "partition"), ("spreadLevel", "spread")):
            if inputs.get(name) and isinstance(strategy, str) and strategy != only:
                faults.append(Fault(name, f"goes with the strategy {only} only, not with {strategy} ({SOURCE})"))
        return faults

    def make(self, cloud: Cloud, inputs: Properties, tags: Mapping[str, str]) -> str:
        cloud.call(
            "ec2",
            "create_placement_group",
            GroupName=inputs["name"],
            Strategy=inputs["strategy"],
            PartitionCount=inputs.get("partitionCount") or None,
            SpreadLevel=inputs.get("spreadLevel"),
            TagSpecifications=self.tag_specifications(tags),
        )
        return str(inputs["name"])

    def described(self, cloud: Cloud, id: str) -> dict[str, Any] | None:
        try:
            return super().described(cloud, id)
        except ProviderError as error:
            if error_code(error) == UNKNOWN:
                return None
            raise

    def look(self, cloud: Cloud, id: str, inputs: Properties) -> Properties | None:
        group = self.described(cloud, id)
        if group is None:
            return None
        return {
            "name": group["GroupName"],
            "strategy": group["Strategy"],
            "partitionCount": group.get("PartitionCount") or 0,
            "spreadLevel": group.get("SpreadLevel") or "",
            "placementGroupId": group["GroupId"],
            "arn": group["GroupArn"],
            "tagsAll": tag_map(group.get("Tags")),
        }

    def retag(self, cloud: Cloud, id: str, add: Mapping[str, str], drop: list[str]) -> None:
        group = self.described(cloud, id)
        if group is None:
            raise NotFound(f"placement group {id} is gone")
        super().retag(cloud, str(group["GroupId"]), add, drop)

    def remove(self, cloud: Cloud, id: str, inputs: Properties, deadline: Deadline) -> None:
        """Instances in it must have ended first ("DeletePlacementGroup")."""
        if self.described(cloud, id) is not None:
            deadline.retry(lambda: cloud.call("ec2", "delete_placement_group", GroupName=id), IN_USE)


TYPES = (PlacementGroup(),)
