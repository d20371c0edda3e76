"""Lambda function and its asynchronous invocations (terraform-provider-aws internal/service/lambda)."""

from collections.abc import Mapping
from typing import Any, ClassVar

from turnout.engine.provider import AutoName, Fault, NotFound, Properties
from turnout.providers.aws import rules
from turnout.providers.aws.base import INTENT_TAG, AwsType, Deadline, changed, known
from turnout.providers.aws.clients import Cloud

SETTINGS = {
    "description": "Description",
    "handler": "Handler",
    "memorySize": "MemorySize",
    "role": "Role",
    "runtime": "Runtime",
    "timeout": "Timeout",
}
CODE = {"s3Bucket": "S3Bucket", "s3Key": "S3Key", "s3ObjectVersion": "S3ObjectVersion"}
VPC = {"subnetIds": "SubnetIds", "securityGroupIds": "SecurityGroupIds"}
_NO_VPC: Mapping[str, list[str]] = {member: [] for member in VPC.values()}
""" "UpdateFunctionConfiguration" (AWS Lambda API Reference), VpcConfig: empty lists take a function out of its VPC."""
ARCHITECTURES = {"x86_64", "arm64"}
UNRESERVED = -1
"""The provider's value for a function that shares the account's concurrency."""
ENVIRONMENT_BYTES = 4096


class Function(AwsType):
    """aws_lambda_function with an archive in S3. The id is the name."""

    token = "aws:lambda/function:Function"
    inputs = frozenset(
        {
            *(*SETTINGS, *CODE, "architectures", "codeSha256", "environment", "name", "reservedConcurrentExecutions", "tags"),
            "vpcConfig",
        }
    )
    replace_on = frozenset({"name"})
    auto_name = AutoName("name", 64)
    defaults: ClassVar[Mapping[str, Any]] = {
        "description": "",
        "environment": None,
        "memorySize": 128,
        "reservedConcurrentExecutions": UNRESERVED,
        "timeout": 3,
        "vpcConfig": None,
    }
    exact = frozenset({"tags", "environment"})

    def check(self, inputs: Properties) -> list[Fault]:
        """ "CreateFunction" (AWS Lambda API Reference); "Lambda quotas" (AWS Lambda Developer Guide)."""
        source = "CreateFunction"
        faults = rules.required(inputs, "role", "handler", "runtime", "s3Bucket", "s3Key")
        faults += rules.matches(inputs, "name", r"[a-zA-Z0-9_-]{1,64}", "1 to 64 letters, digits, - and _", source)
        faults += rules.matches(inputs, "handler", r"[^\s]{1,128}", "1 to 128 characters without a blank", source)
        faults += rules.matches(inputs, "role", r"arn:aws[a-z-]*:iam::\d{12}:role/.+", "the ARN of a role", source)
        faults += rules.between(inputs, "timeout", 1, 900, source)
        faults += rules.between(inputs, "memorySize", 128, 10_240, source)
        faults += rules.between(inputs, "reservedConcurrentExecutions", UNRESERVED, float("inf"), "PutFunctionConcurrency")
        architectures = inputs.get("architectures")
        if isinstance(architectures, list) and not (len(architectures) == 1 and _may_be(architectures[0], ARCHITECTURES)):
            faults.append(Fault("architectures", f"{architectures} is not one of arm64, x86_64 ({source})"))
        return faults + _check_environment(inputs)

    def make(self, cloud: Cloud, inputs: Properties, tags: Mapping[str, str]) -> str:
        cloud.call(
            "lambda",
            "create_function",
            FunctionName=inputs["name"],
            Code={member: inputs[name] for name, member in CODE.items() if inputs.get(name) is not None},
            Architectures=inputs.get("architectures"),
            Environment=_environment(inputs),
            Tags=dict(tags),
            VpcConfig=_vpc(inputs),
            **self._settings(inputs),
        )
        return str(inputs["name"])

    @staticmethod
    def _settings(inputs: Properties) -> Properties:
        found = {member: inputs.get(name) for name, member in SETTINGS.items()}
        return {
            member: int(value) if member in ("Timeout", "MemorySize") and value is not None else value
            for member, value in found.items()
        }

    def configure(self, cloud: Cloud, id: str, old: Properties, new: Properties, outputs: Properties) -> None:
        if old and changed(old, new, *SETTINGS, "environment", "vpcConfig"):
            wanted = {"Description": "", "MemorySize": 128, "Timeout": 3}
            wanted |= {member: value for member, value in self._settings(new).items() if value is not None}
            wanted["Environment"] = _environment(new) or {"Variables": {}}
            if changed(old, new, "vpcConfig"):
                wanted["VpcConfig"] = _vpc(new) or _NO_VPC
            cloud.call("lambda", "update_function_configuration", FunctionName=id, **wanted)
        if old and changed(old, new, *CODE, "codeSha256", "architectures"):
            code = {member: new.get(name) for name, member in CODE.items()}
            cloud.call("lambda", "update_function_code", FunctionName=id, Architectures=new.get("architectures"), **code)
        if changed(old, new, "reservedConcurrentExecutions"):
            reserved = new.get("reservedConcurrentExecutions")
            if reserved is None or int(reserved) == UNRESERVED:
                cloud.call("lambda", "delete_function_concurrency", FunctionName=id)
            else:
                cloud.call("lambda", "put_function_concurrency", FunctionName=id, ReservedConcurrentExecutions=int(reserved))

    def look(self, cloud: Cloud, id: str, inputs: Properties) -> Properties | None:
        found = cloud.call("lambda", "get_function", FunctionName=id)
        held = found["Configuration"]
        variables = (held.get("Environment") or {}).get("Variables")
        network = held.get("VpcConfig") or {}
        reserved = (found.get("Concurrency") or {}).get("ReservedConcurrentExecutions", UNRESERVED)
        return {
            "name": id,
            **{name: held.get(member) for name, member in SETTINGS.items()},
            "architectures": held["Architectures"],
            "environment": {"variables": variables} if variables else None,
            "vpcConfig": {name: network.get(member) for name, member in VPC.items()} if network.get("SubnetIds") else None,
            "codeSha256": held["CodeSha256"],
            "reservedConcurrentExecutions": reserved,
            "arn": held["FunctionArn"],
            "lastModified": held["LastModified"],
            "tagsAll": dict(found.get("Tags") or {}),
        }

    volatile = frozenset({"lastModified"})

    def locate(self, cloud: Cloud, inputs: Properties, token: str) -> str | None:
        found = cloud.call("lambda", "get_function", FunctionName=inputs["name"])
        return str(inputs["name"]) if (found.get("Tags") or {}).get(INTENT_TAG) == token else None

    def remove(self, cloud: Cloud, id: str, inputs: Properties, deadline: Deadline) -> None:
        cloud.call("lambda", "delete_function", FunctionName=id)

    def retag(self, cloud: Cloud, id: str, add: Mapping[str, str], drop: list[str]) -> None:
        arn = cloud.call("lambda", "get_function", FunctionName=id)["Configuration"]["FunctionArn"]
        if add:
            cloud.call("lambda", "tag_resource", Resource=arn, Tags=dict(add))
        if drop:
            cloud.call("lambda", "untag_resource", Resource=arn, TagKeys=drop)


def _may_be(value: Any, allowed: set[str]) -> bool:
    return value in allowed if isinstance(value, str) else not known(value)


def _environment(inputs: Properties) -> Properties | None:
    variables = (inputs.get("environment") or {}).get("variables")
    return {"Variables": dict(variables)} if variables else None


def _vpc(inputs: Properties) -> Properties | None:
    given = inputs.get("vpcConfig")
    return {member: given[name] for name, member in VPC.items()} if given else None


def _check_environment(inputs: Properties) -> list[Fault]:
    """ "Using Lambda environment variables": names, those that are Lambda's own, and 4 KB of all."""
    variables = rules.at(inputs, "environment.variables")
    if not isinstance(variables, dict):
        return []
    source = "Using Lambda environment variables"
    own = sorted(name for name in variables if name.startswith("AWS_") or name.startswith("_"))
    faults = [Fault("environment.variables", f"{name} is Lambda's own ({source})") for name in own]
    if all(known(value) for value in variables.values()):
        size = sum(len(name) + len(str(value)) for name, value in variables.items())
        if size > ENVIRONMENT_BYTES:
            faults.append(Fault("environment.variables", f"{size} bytes are more than {ENVIRONMENT_BYTES} (Lambda quotas)"))
    return faults


class EventInvokeConfig(AwsType):
    """aws_lambda_function_event_invoke_config: the id is the function's name."""

    token = "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig"
    inputs = frozenset({"functionName", "maximumEventAgeInSeconds", "maximumRetryAttempts"})
    replace_on = frozenset({"functionName"})

    def check(self, inputs: Properties) -> list[Fault]:
        """ "PutFunctionEventInvokeConfig" (AWS Lambda API Reference)."""
        source = "PutFunctionEventInvokeConfig"
        faults = rules.required(inputs, "functionName")
        faults += rules.between(inputs, "maximumEventAgeInSeconds", 60, 21_600, source)
        return faults + rules.between(inputs, "maximumRetryAttempts", 0, 2, source)

    def make(self, cloud: Cloud, inputs: Properties, tags: Mapping[str, str]) -> str:
        self._put(cloud, inputs)
        return str(inputs["functionName"])

    def configure(self, cloud: Cloud, id: str, old: Properties, new: Properties, outputs: Properties) -> None:
        if old and old != new:
            self._put(cloud, new)

    @staticmethod
    def _put(cloud: Cloud, inputs: Properties) -> None:
        """ "If a configuration already exists …, this operation overwrites it"."""
        members = {"MaximumEventAgeInSeconds": "maximumEventAgeInSeconds", "MaximumRetryAttempts": "maximumRetryAttempts"}
        given = {member: int(inputs[name]) for member, name in members.items() if inputs.get(name) is not None}
        cloud.call("lambda", "put_function_event_invoke_config", FunctionName=inputs["functionName"], **given)

    def look(self, cloud: Cloud, id: str, inputs: Properties) -> Properties | None:
        try:
            found = cloud.call("lambda", "get_function_event_invoke_config", FunctionName=id)
        except NotFound:
            return None
        return {
            "functionName": id,
            "maximumEventAgeInSeconds": found.get("MaximumEventAgeInSeconds"),
            "maximumRetryAttempts": found.get("MaximumRetryAttempts"),
        }

    def locate(self, cloud: Cloud, inputs: Properties, token: str) -> str | None:
        name = str(inputs["functionName"])
        return name if self.look(cloud, name, inputs) else None

    def remove(self, cloud: Cloud, id: str, inputs: Properties, deadline: Deadline) -> None:
        cloud.call("lambda", "delete_function_event_invoke_config", FunctionName=id)


TYPES = (Function(), EventInvokeConfig())
