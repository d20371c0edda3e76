"""A service in moto whose rollouts the Lambda function's code drives, and every call that it makes."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import boto3
import botocore.session
import pytest
from turnout_components.items import DynamoItems, create_table
from turnout_components.mirror_setting import MirrorSetting
from turnout_components.platforms import Place, platform
from turnout_components.rollout_spec import RolloutSpec
from turnout_components.standby import Keep, StandbyPolicy
from turnout_components.switch_record import EnvironmentState, Operator, RecordStore, SwitchRecord, Traffic

from turnout.rollout import handler
from turnout.rollout.handler import Runner, Settings
from turnout.rollout.start import Start, begin, prepare
from turnout.rollout.store import RolloutStore

ACCOUNT, REGION = "123456789012", "us-east-1"
OPERATOR = Operator(name="runner", host="request-1", pid=8)
STEP_DOWN = f"arn:aws:iam::{ACCOUNT}:role/svc-step-down"
SHOP = "Shop"
SERVING = 600
"""Requests a minute."""


@dataclass(frozen=True)
class Call:
    """One call as IAM sees it."""

    action: str
    resource: str
    context: dict[str, str]


@dataclass
class Driven:
    """The service `svc` in stack `dev`; its clock moves when the driver sleeps."""

    endpoint: str
    monkeypatch: pytest.MonkeyPatch
    now: datetime = field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1))
    calls: list[Call] = field(default_factory=list)
    services: set[str] = field(default_factory=set)
    posted: list[dict[str, Any]] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def api(self, service: str) -> Any:
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        return boto3.client(service, region_name=REGION, endpoint_url=self.endpoint, **keys)

    @property
    def records(self) -> RecordStore:
        return RecordStore(DynamoItems(self.api("dynamodb"), "records"), "svc", "dev")

    @property
    def rollouts(self) -> RolloutStore:
        return RolloutStore(DynamoItems(self.api("dynamodb"), "records"), "svc", "dev")

    def deploy(self) -> None:
        """A load balancer, two groups with warm pools, and the record: blue has all traffic."""
        create_table(self.api("dynamodb"), "records", protect=False)
        for name in ("blue", "green"):
            self.api("logs").create_log_group(logGroupName=_log_group(name))
            self.api("logs").create_log_stream(logGroupName=_log_group(name), logStreamName="node")
        ec2, elbv2 = self.api("ec2"), self.api("elbv2")
        vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
        zones = [(f"10.9.{n}.0/24", f"{REGION}{zone}") for n, zone in enumerate("ab")]
        subnets = [
            ec2.create_subnet(VpcId=vpc, CidrBlock=block, AvailabilityZone=zone)["Subnet"]["SubnetId"] for block, zone in zones
        ]
        balancer = elbv2.create_load_balancer(Name="svc", Subnets=subnets)["LoadBalancers"][0]["LoadBalancerArn"]
        ec2.create_launch_template(
            LaunchTemplateName="svc", LaunchTemplateData={"ImageId": "ami-12c6146b", "InstanceType": "g5.xlarge"}
        )
        states = {name: self._environment(name, number, vpc, subnets) for number, name in enumerate(("blue", "green"), 1)}
        traffic = Traffic.all_to("blue", list(states))
        groups = [{"TargetGroupArn": s.target_group, "Weight": traffic.weights[name]} for name, s in states.items()]
        listener = elbv2.create_listener(
            LoadBalancerArn=balancer,
            Protocol="HTTP",
            Port=80,
            DefaultActions=[{"Type": "forward", "ForwardConfig": {"TargetGroups": groups}}],
        )["Listeners"][0]["ListenerArn"]
        record = SwitchRecord(
            key="svc/dev",
            listener=listener,
            traffic=traffic,
            config_base=traffic,
            environments=states,
            step_down_role=STEP_DOWN,
        )
        self.records.write(record)

    def _environment(self, name: str, number: int, vpc: str, subnets: list[str]) -> EnvironmentState:
        digest, scaling = str(number) * 12, self.api("autoscaling")
        target_group = self.api("elbv2").create_target_group(Name=f"svc-{name}", Protocol="HTTP", Port=8000, VpcId=vpc)
        arn, group = target_group["TargetGroups"][0]["TargetGroupArn"], f"svc-dev-{name}-{digest}"
        scaling.create_auto_scaling_group(
            AutoScalingGroupName=group,
            LaunchTemplate={"LaunchTemplateName": "svc"},
            MinSize=1,
            MaxSize=3,
            DesiredCapacity=1,
            TargetGroupARNs=[arn],
            VPCZoneIdentifier=",".join(subnets),
        )
        scaling.put_warm_pool(AutoScalingGroupName=group, MinSize=1)
        return EnvironmentState(target_group=arn, group=group, release=f"m-{number}@sha256:{str(number) * 64}")

    def start(self, standby: StandbyPolicy, **spec: Any) -> str:
        """Begins a rollout as an operator does."""
        given = RolloutSpec.model_validate({"strategy": "direct", "observe": "2m", **spec})
        record = self.records.read()
        kept = record.retained.release if record is not None and record.retained is not None else None
        start = Start(given, replace(standby, discard=kept), OPERATOR, lambda: self.now)
        cloud = platform(Place(), self.api).live
        unasked: Any = None
        return begin(prepare(start, self.records, cloud, unasked), self.rollouts, self.records, cloud).id

    def runner(self) -> Runner:
        """The function's own composition, whose calls are noted down."""
        session = botocore.session.get_session()
        session.set_credentials("test", "test")
        session.register("provide-client-params", self._note)
        session.register("before-call.cloudwatch.GetMetricData", self._measured)
        self.monkeypatch.setattr(handler, "get_session", lambda: session)
        settings = Settings(service="svc", stack="dev", region=REGION, table="records", look=30, endpoint=self.endpoint)
        handler.compose.cache_clear()
        return handler.compose(settings, self._sleep, lambda: self.now)

    def drive(self, runner: Runner, most: int = 30) -> dict[str, Any]:
        """Invocations of 75 seconds until nothing is to be done; the last document that names a rollout."""
        last: dict[str, Any] = {}
        for _ in range(most):
            end = self.now + timedelta(seconds=75)
            found = runner.run(OPERATOR, lambda end=end: (end - self.now).total_seconds(), self._say)  # type: ignore[misc]
            if found["rollout"] is None:
                return last
            last = found
        raise AssertionError(f"not over: {last}; {self.said[-10:]}")

    def short(self) -> Any:
        """One short invocation: who, how long, and where its lines go."""
        end = self.now + timedelta(seconds=handler.RESERVE)
        return OPERATOR, lambda: (end - self.now).total_seconds(), self._say

    def resize(self, environment: str, size: int, maximum: int) -> None:
        """As an update does, or somebody by hand."""
        record = self.records.read()
        assert record is not None
        group = record.environments[environment].group
        self.api("autoscaling").update_auto_scaling_group(
            AutoScalingGroupName=group, MinSize=size, MaxSize=maximum, DesiredCapacity=size
        )

    def _say(self, level: str, message: str, **_: str) -> None:
        self.said.append(f"{level}: {message}")

    def _sleep(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        record = self.records.read()
        assert record is not None
        for name, state in record.environments.items():
            mirror = MirrorSetting(self.api("ssm"), str(state.group)).read()
            if mirror is not None:
                assert mirror.targets, "a mirror goes to instances"
                self._copied(name)

    def _copied(self, mirrored: str) -> None:
        """As both sides' servers log a request that the nodes of this one have copied."""
        millis = int(1000 * self.now.timestamp())
        for name in ("blue", "green"):
            line: dict[str, Any] = {"turnout": "mirrored", "id": f"r{millis}", "status": 200, "seconds": 0.1, "answer": 7}
            line |= {"host": "svc" if name == mirrored else "svc-shadow", "at": self.now.timestamp()}
            self.api("logs").put_log_events(
                logGroupName=_log_group(name),
                logStreamName="node",
                logEvents=[{"timestamp": millis, "message": json.dumps(line)}],
            )

    def _note(self, params: dict[str, Any], model: Any, **_: Any) -> None:
        self.services.add(model.service_model.service_name)
        self.calls.append(as_iam_sees(model.service_model.service_name, model.name, params))

    def _measured(self, params: dict[str, Any], **_: Any) -> Any:
        """CloudWatch's answer: whoever has traffic now had all requests of every period, and a tenth of the control's users
        bought, of the candidate's a fifth."""
        asked = json.loads(params["body"]) if isinstance(params["body"], (str, bytes)) else params["body"]
        record = self.records.read()
        assert record is not None
        assert record.traffic is not None
        active = record.environments[record.traffic.active].target_group.partition(":targetgroup/")[2]
        first, last = (int(moment_of(asked[name])) for name in ("StartTime", "EndTime"))
        results = []
        for query in asked["MetricDataQueries"]:
            metric = query["MetricStat"]["Metric"]
            value = _users(query["MetricStat"]["Stat"], metric["Dimensions"]) if metric["Namespace"] == SHOP else SERVING
            mine = metric["MetricName"] == "RequestCount" and any(active in d["Value"] for d in metric["Dimensions"])
            moments = range(first, last, 60) if mine or metric["Namespace"] == SHOP else range(0)
            results.append(
                {
                    "Id": query["Id"],
                    "Label": query["Id"],
                    "StatusCode": "Complete",
                    "Timestamps": [datetime.fromtimestamp(moment, UTC) for moment in moments],
                    "Values": [float(value) for _ in moments],
                }
            )
        answered = type("Answer", (), {"status_code": 200})()
        return answered, {"MetricDataResults": results, "ResponseMetadata": {"HTTPStatusCode": 200}}


def _users(statistic: str, dimensions: list[dict[str, str]]) -> int:
    """What a minute's users of a variant were worth, each 0 or 1."""
    bought = 200 if dimensions == [{"Name": "Variant", "Value": "candidate"}] else 100
    return {"SampleCount": 1000, "Sum": bought, "Minimum": 0, "Maximum": 1}[statistic]


def _log_group(environment: str) -> str:
    return f"/turnout/svc/dev/{environment}"


def moment_of(value: Any) -> float:
    """Unix seconds of a time as a client sends it."""
    return float(value) if isinstance(value, (int, float)) else datetime.fromisoformat(str(value)).timestamp()


def as_iam_sees(service: str, operation: str, params: dict[str, Any]) -> Call:
    """A call's action, the resource that it is about, and its condition keys, by the Service Authorization Reference."""
    scaling = partial("arn:aws:autoscaling:{0}:{1}:autoScalingGroup:0:autoScalingGroupName/{2}".format, REGION, ACCOUNT)
    prefix = {"elbv2": "elasticloadbalancing"}.get(service, service)
    action, context, resource = f"{prefix}:{operation}", dict[str, str](), "*"
    if service == "dynamodb":
        resource = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{params['TableName']}"
        context = {"dynamodb:LeadingKeys": (params.get("Key") or params["Item"])["id"]["S"]}
    elif service == "scheduler":
        resource = f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule/default/{params['Name']}"
    elif operation.startswith("Describe"):
        pass
    elif service == "autoscaling":
        resource = scaling(params["AutoScalingGroupName"])
    elif service == "logs":
        resource = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{params['logGroupName']}:*"
    elif service == "ssm":
        resource = f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter{params['Name']}"
    else:
        named = ("ListenerArn", "RuleArn", "TopicArn", "SecretId")
        resource = next((str(params[name]) for name in named if name in params), "*")
    return Call(action, resource, context)


@contextmanager
def webhook(posted: list[dict[str, Any]]) -> Iterator[str]:
    """The address of a webhook, and what was posted to it."""

    class Answers(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posted.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            return

    server = HTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


EXPERIMENT = {
    "name": "answers",
    "split": {"control": 50, "candidate": 50},
    "metric": {"kind": "conversion", "namespace": SHOP, "name": "Bought", "dimensions": {"Variant": "$variant"}},
    "smallest": 0.05,
    "usual": 0.1,
    "users_a_day": 1_440_000,
    "for": "1d",
}
COLD_LATER = StandbyPolicy(keep=Keep.COLD, bake=timedelta(hours=2))
COLD_AT_ONCE = StandbyPolicy(keep=Keep.COLD, bake=timedelta(seconds=30))
