"""Flow log (terraform-provider-aws internal/service/ec2/vpc_flow_log.go): only its tags change in place."""

from collections.abc import Mapping
from typing import Any, ClassVar

from turnout.engine.provider import Fault, Properties, ProviderError
from turnout.providers.aws import rules
from turnout.providers.aws.base import Deadline, Ec2Type
from turnout.providers.aws.clients import Cloud
from turnout.providers.aws.mapping import tag_map

WATCHED = {"vpcId": "VPC", "subnetId": "Subnet", "eniId": "NetworkInterface"}
"""What is watched -> ResourceType of "CreateFlowLogs" (Amazon EC2 API Reference)."""
TO_LOGS = "cloud-watch-logs"


class FlowLog(Ec2Type):
    """aws_flow_log of a VPC, subnet or network interface."""

    token = "aws:ec2/flowLog:FlowLog"
    inputs = frozenset(
        {
            "iamRoleArn",
            "logDestination",
            "logDestinationType",
            "logFormat",
            "maxAggregationInterval",
            "trafficType",
            "tags",
            *WATCHED,
        }
    )
    replace_on = inputs - {"tags"}
    defaults: ClassVar[Mapping[str, Any]] = {"maxAggregationInterval": 600, "logDestinationType": TO_LOGS}
    kind = "vpc-flow-log"
    describe = ("describe_flow_logs", "FlowLogIds", "FlowLogs", "FlowLogId")
    filter_parameter = "Filter"

    def check(self, inputs: Properties) -> list[Fault]:
        source = "CreateFlowLogs"
        faults = rules.required(inputs, "trafficType", "logDestination")
        watched = [name for name in WATCHED if inputs.get(name) is not None]
        if len(watched) != 1:
            faults.append(Fault("vpcId", f"exactly one of {', '.join(WATCHED)} is watched, not {len(watched)} ({source})"))
        faults += rules.one_of(inputs, "trafficType", {"ACCEPT", "REJECT", "ALL"}, source)
        faults += rules.one_of(inputs, "logDestinationType", {TO_LOGS, "s3"}, "the local cloud's destinations")
        interval = inputs.get("maxAggregationInterval")
        if isinstance(interval, (int, float)) and interval not in (60, 600):
            faults.append(Fault("maxAggregationInterval", f"{interval:g} is neither 60 nor 600 ({source}: InvalidParameter)"))
        kind = inputs.get("logDestinationType") or TO_LOGS
        if kind == TO_LOGS and inputs.get("iamRoleArn") is None:
            faults.append(Fault("iamRoleArn", f"is required for {TO_LOGS} (DeliverLogsPermissionArn of {source})"))
        if kind == "s3" and inputs.get("iamRoleArn") is not None:
            faults.append(Fault("iamRoleArn", f"is of {TO_LOGS} only (DeliverLogsPermissionArn of {source})"))
        return faults

    def make(self, cloud: Cloud, inputs: Properties, tags: Mapping[str, str]) -> str:
        ((name, kind),) = ((name, kind) for name, kind in WATCHED.items() if inputs.get(name) is not None)
        made = cloud.call(
            "ec2",
            "create_flow_logs",
            ResourceIds=[inputs[name]],
            ResourceType=kind,
            TrafficType=inputs["trafficType"],
            LogDestinationType=inputs.get("logDestinationType") or TO_LOGS,
            LogDestination=inputs["logDestination"],
            DeliverLogsPermissionArn=inputs.get("iamRoleArn"),
            LogFormat=inputs.get("logFormat"),
            MaxAggregationInterval=int(inputs.get("maxAggregationInterval") or 600),
            TagSpecifications=self.tag_specifications(tags),
        )
        failed = made.get("Unsuccessful") or []
        if failed:
            raise ProviderError(f"ec2 create_flow_logs: {failed[0]['Error']['Code']}: {failed[0]['Error']['Message']}")
        return str(made["FlowLogIds"][0])

    def look(self, cloud: Cloud, id: str, inputs: Properties) -> Properties | None:
        log = self.described(cloud, id)
        if log is None:
            return None
        watched = next((name for name in WATCHED if inputs.get(name) is not None), "vpcId")
        return {
            watched: log["ResourceId"],
            "trafficType": log["TrafficType"],
            "logDestinationType": log["LogDestinationType"],
            "logDestination": log.get("LogDestination"),
            "iamRoleArn": log.get("DeliverLogsPermissionArn"),
            "logFormat": log.get("LogFormat"),
            "maxAggregationInterval": log["MaxAggregationInterval"],
            "arn": self.arn(cloud, id, None),
            "tagsAll": tag_map(log.get("Tags")),
        }

    def remove(self, cloud: Cloud, id: str, inputs: Properties, deadline: Deadline) -> None:
        cloud.call("ec2", "delete_flow_logs", FlowLogIds=[id])


TYPES = (FlowLog(),)
