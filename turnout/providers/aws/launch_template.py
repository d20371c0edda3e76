"""Launch template (terraform-provider-aws ec2_launch_template.go): every change of its data is a new version."""

import base64
import binascii
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from turnout.engine.provider import AutoName, Fault, Properties
from turnout.providers.aws import rules
from turnout.providers.aws.autoscaling_mixed_rules import REQUIREMENT_NAMES, requirement_faults
from turnout.providers.aws.base import Deadline, Ec2Type, known
from turnout.providers.aws.clients import Cloud, client
from turnout.providers.aws.mapping import fits, from_members, tag_list, tag_map, to_members

DATA = frozenset(
    {
        "imageId",
        "instanceType",
        "userData",
        "keyName",
        "ebsOptimized",
        "blockDeviceMappings",
        "iamInstanceProfile",
        "metadataOptions",
        "monitoring",
        "networkInterfaces",
        "vpcSecurityGroupIds",
        "tagSpecifications",
        "disableApiTermination",
        "instanceInitiatedShutdownBehavior",
        "hibernationOptions",
        "instanceMarketOptions",
        "instanceRequirements",
        "capacityReservationSpecification",
        "placement",
    }
)
RENAMES = {"vpcSecurityGroupIds": "SecurityGroupIds", "securityGroups": "Groups", **REQUIREMENT_NAMES}
USER_DATA_LIMIT = 16 * 1024
METADATA = (
    ("httpEndpoint", {"enabled", "disabled"}),
    ("httpTokens", {"optional", "required"}),
    ("httpProtocolIpv6", {"enabled", "disabled"}),
    ("instanceMetadataTags", {"enabled", "disabled"}),
)
VOLUME_TYPES = {"standard", "io1", "io2", "gp2", "gp3", "sc1", "st1"}
BLOCK = "capacity-block"
PREFERENCES = {"capacity-reservations-only", "open", "none"}
TAGGABLE = {"instance", "volume", "network-interface", "spot-instances-request", "elastic-gpu"}


class LaunchTemplate(Ec2Type):
    """aws_launch_template. Reads the latest version, as resourceLaunchTemplateRead does."""

    token = "aws:ec2/launchTemplate:LaunchTemplate"
    inputs = DATA | {"name", "description", "updateDefaultVersion", "tags"}
    replace_on = frozenset({"name"})
    volatile = frozenset({"latestVersion", "defaultVersion"})
    defaults: ClassVar[Mapping[str, Any]] = {"description": "", **dict.fromkeys(DATA)}
    auto_name = AutoName("name", 125)
    kind = "launch-template"
    describe = ("describe_launch_templates", "LaunchTemplateIds", "LaunchTemplates", "LaunchTemplateId")

    def check(self, inputs: Properties) -> list[Fault]:
        faults = rules.matches(
            inputs,
            "name",
            r"[A-Za-z0-9().\-/_]{3,125}",
            "3 to 125 of letters, digits and ( ) . - / _",
            "CreateLaunchTemplate",
        )
        faults += rules.matches(inputs, "description", r".{0,255}", "at most 255 characters", "CreateLaunchTemplate")
        for name, allowed in METADATA:
            faults += rules.one_of(inputs, f"metadataOptions.{name}", allowed, "LaunchTemplateInstanceMetadataOptionsRequest")
        faults += rules.between(
            inputs, "metadataOptions.httpPutResponseHopLimit", 1, 64, "LaunchTemplateInstanceMetadataOptionsRequest"
        )
        faults += rules.one_of(inputs, "instanceInitiatedShutdownBehavior", {"stop", "terminate"}, "RequestLaunchTemplateData")
        return faults + _check_blocks(inputs) + _check_user_data(inputs.get("userData"))

    def make(self, cloud: Cloud, inputs: Properties, tags: Mapping[str, str]) -> str:
        made = cloud.call(
            "ec2",
            "create_launch_template",
            LaunchTemplateName=inputs["name"],
            VersionDescription=inputs.get("description"),
            LaunchTemplateData=_data(cloud, inputs),
            TagSpecifications=self.tag_specifications(tags),
        )
        return str(made["LaunchTemplate"]["LaunchTemplateId"])

    def configure(self, cloud: Cloud, id: str, old: Properties, new: Properties, outputs: Properties) -> None:
        """A new version unless the latest one says the same already, so that a repeated update makes one only."""
        if old and not self._says(cloud, id, old, new):
            made = cloud.call(
                "ec2",
                "create_launch_template_version",
                LaunchTemplateId=id,
                VersionDescription=new.get("description"),
                LaunchTemplateData=_data(cloud, new),
            )
            latest = str(made["LaunchTemplateVersion"]["VersionNumber"])
            if new.get("updateDefaultVersion"):
                cloud.call("ec2", "modify_launch_template", LaunchTemplateId=id, DefaultVersion=latest)

    def _says(self, cloud: Cloud, id: str, old: Properties, new: Properties) -> bool:
        names = DATA | {"description"}
        live = self._latest(cloud, id)
        dropped = [name for name in names if old.get(name) is not None and new.get(name) is None and live.get(name)]
        return not dropped and fits({name: new.get(name) for name in names}, live)

    @staticmethod
    def _latest(cloud: Cloud, id: str) -> Properties:
        answer = cloud.call("ec2", "describe_launch_template_versions", LaunchTemplateId=id, Versions=["$Latest"])
        version = answer["LaunchTemplateVersions"][0]
        live = from_members(version["LaunchTemplateData"], RENAMES)
        for specification in live.get("tagSpecifications") or []:
            specification["tags"] = {tag["key"]: tag["value"] for tag in specification.get("tags") or []}
        live["tagSpecifications"] = [
            block for block in live.get("tagSpecifications") or [] if block["resourceType"] in TAGGABLE
        ]
        return {**live, "description": version.get("VersionDescription") or ""}

    def look(self, cloud: Cloud, id: str, inputs: Properties) -> Properties | None:
        template = self.described(cloud, id)
        if template is None:
            return None
        latest = self._latest(cloud, id)
        return {
            **{name: latest.get(name) for name in DATA | {"description"}},
            "name": template["LaunchTemplateName"],
            "latestVersion": int(template["LatestVersionNumber"]),
            "defaultVersion": int(template["DefaultVersionNumber"]),
            "arn": self.arn(cloud, id, None),
            "tagsAll": self._tags(cloud, id),
        }

    @staticmethod
    def _tags(cloud: Cloud, id: str) -> dict[str, str]:
        """DescribeTags: the template's own list is moto's of the day it was made."""
        filters = [{"Name": "resource-id", "Values": [id]}]
        return tag_map(cloud.pages("ec2", "describe_tags", "Tags", Filters=filters))

    def locate(self, cloud: Cloud, inputs: Properties, token: str) -> str | None:
        found = cloud.call("ec2", "describe_launch_templates", LaunchTemplateNames=[inputs["name"]])["LaunchTemplates"]
        return str(found[0]["LaunchTemplateId"]) if found else None

    def remove(self, cloud: Cloud, id: str, inputs: Properties, deadline: Deadline) -> None:
        cloud.call("ec2", "delete_launch_template", LaunchTemplateId=id)


def _data(cloud: Cloud, inputs: Properties) -> dict[str, Any]:
    shape = client(cloud.config, "ec2").meta.service_model.shape_for("RequestLaunchTemplateData")
    wanted = {name: inputs[name] for name in DATA if inputs.get(name) is not None}
    specifications = wanted.pop("tagSpecifications", [])
    data: dict[str, Any] = to_members(shape, wanted, RENAMES)
    if specifications:
        data["TagSpecifications"] = [
            {"ResourceType": block["resourceType"], "Tags": tag_list(block.get("tags") or {})} for block in specifications
        ]
    return data


def _check_blocks(inputs: Properties) -> list[Fault]:
    faults: list[Fault] = []
    if inputs.get("networkInterfaces") and inputs.get("vpcSecurityGroupIds"):
        faults.append(
            Fault(
                "vpcSecurityGroupIds",
                "network interfaces and instance-level security groups exclude each other: name the groups in "
                "networkInterfaces[].securityGroups (RunInstances: InvalidParameterCombination)",
            )
        )
    for index, block in enumerate(_blocks(inputs, "blockDeviceMappings")):
        for fault in rules.one_of(block, "ebs.volumeType", VOLUME_TYPES, "LaunchTemplateEbsBlockDeviceRequest"):
            faults.append(Fault(f"blockDeviceMappings[{index}].{fault.property}", fault.reason))
    for index, block in enumerate(_blocks(inputs, "tagSpecifications")):
        for fault in rules.one_of(block, "resourceType", TAGGABLE, "LaunchTemplateTagSpecificationRequest"):
            faults.append(Fault(f"tagSpecifications[{index}].{fault.property}", fault.reason))
    return [*faults, *_check_capacity(inputs)]


def _check_capacity(inputs: Properties) -> Iterable[Fault]:
    """What kind of machine is asked for, where and how it is paid, and its adapters."""
    if inputs.get("instanceType") is not None and inputs.get("instanceRequirements") is not None:
        yield Fault("instanceRequirements", "and instanceType exclude each other (RequestLaunchTemplateData)")
    yield from requirement_faults(inputs.get("instanceRequirements"), "instanceRequirements")
    page = "LaunchTemplateInstanceMarketOptionsRequest"
    yield from rules.one_of(inputs, "instanceMarketOptions.marketType", {"spot", BLOCK}, page)
    page, at = "LaunchTemplateCapacityReservationSpecificationRequest", "capacityReservationSpecification"
    yield from rules.one_of(inputs, f"{at}.capacityReservationPreference", PREFERENCES, page)
    target = rules.at(inputs, f"{at}.capacityReservationTarget.capacityReservationId")
    if rules.at(inputs, "instanceMarketOptions.marketType") == BLOCK and target is None:
        page = "Use Capacity Blocks for machine learning workloads"
        yield Fault(f"{at}.capacityReservationTarget", f"must name the Capacity Block ({page})")
    page = "LaunchTemplateInstanceNetworkInterfaceSpecificationRequest"
    for index, block in enumerate(_blocks(inputs, "networkInterfaces")):
        for fault in rules.one_of(block, "interfaceType", {"interface", "efa", "efa-only"}, page):
            yield Fault(f"networkInterfaces[{index}].{fault.property}", fault.reason)


def _blocks(inputs: Properties, name: str) -> list[dict[str, Any]]:
    value = inputs.get(name)
    return [block for block in value if isinstance(block, dict)] if isinstance(value, list) else []


def _check_user_data(value: Any) -> list[Fault]:
    """AWS "Run commands when you launch an EC2 instance with user data input": base64, at most 16 KB in raw form."""
    if not known(value):
        return []
    try:
        raw = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return [Fault("userData", "is not base64 (CreateLaunchTemplate: InvalidUserData.Malformed)")]
    if len(raw) > USER_DATA_LIMIT:
        return [Fault("userData", f"{len(raw)} bytes are more than the {USER_DATA_LIMIT} that EC2 takes")]
    return []


TYPES = (LaunchTemplate(),)
