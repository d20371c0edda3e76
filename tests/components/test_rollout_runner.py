"""What the component registers, with recording mocks, and what it refuses."""

import json
from typing import Any

import pytest
from component_args import SERVICE
from recording import ACCOUNT, AUTO_SUFFIX, ELB, Recording, record
from turnout_components import runner_policy
from turnout_components.cluster_rights import WORKLOADS
from turnout_components.platforms import EKS, Place
from turnout_components.rollout_runner import RolloutRunner

from turnout.rollout import handler
from turnout.rollout.handler import Settings

NAME = f"{SERVICE}-rollouts"
LISTENER = f"{ELB}:listener/app/svc/50dc6c495c0c9188/f2f7dc8efc522ab2"
STEP_DOWN = f"arn:aws:iam::{ACCOUNT}:role/svc-step-down"
FUNCTION = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{NAME}-function"
TOPIC, QUEUE = f"arn:aws:sns:us-east-1:{ACCOUNT}:people", f"arn:aws:sqs:us-east-1:{ACCOUNT}:dead"
KEY = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9"
SECRET = f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:hook-AbCdEf"
OUTPUTS = ("function_arn", "function_name", "role_arn", "log_group_name")


def made(name: str = NAME, **changes: Any) -> Recording:
    given = {
        "service": SERVICE,
        "region": "us-east-1",
        "listener_arn": LISTENER,
        "step_down_role_arn": STEP_DOWN,
        "code_bucket": "models",
        "code_key": "runner/0af3.zip",
        **changes,
    }
    args: Any = {key: value for key, value in given.items() if value is not ...}

    def program() -> dict[str, Any]:
        runner = RolloutRunner(name, args)
        return {output: getattr(runner, output) for output in OUTPUTS}

    return record(program)


def statements(found: Recording, policy: str = "runner-policy") -> dict[str, Any]:
    return {s["Sid"]: s for s in json.loads(found.one(":RolePolicy", policy).inputs["policy"])["Statement"]}


def test_six_inputs_make_a_function_that_drives_every_minute() -> None:
    found = made()
    function = found.one(":Function").inputs
    assert (function["handler"], function["runtime"]) == ("turnout.rollout.handler.handler", "python3.12")
    assert handler.handler.__module__ + ".handler" == function["handler"]
    assert function["architectures"] == ["arm64"]
    assert (function["s3Bucket"], function["s3Key"]) == ("models", "runner/0af3.zip")
    assert (function["timeout"], function["memorySize"], function["reservedConcurrentExecutions"]) == (75, 512, 2)
    schedule = found.one(":Schedule").inputs
    assert schedule["scheduleExpression"] == "rate(1 minute)"
    assert schedule["flexibleTimeWindow"] == {"mode": "OFF"}
    assert schedule["target"]["arn"] == FUNCTION
    assert schedule["target"]["retryPolicy"] == {"maximumEventAgeInSeconds": 60, "maximumRetryAttempts": 0}
    assert set(found.outputs) == set(OUTPUTS)
    assert {r.parent for r in found.registrations[1:]} == {NAME}


def test_the_handler_finds_its_settings_in_the_function_s_environment() -> None:
    variables = made(record_table="records", look=2).one(":Function").inputs["environment"]["variables"]
    settings = Settings.of({**variables, "AWS_REGION": "us-east-1"})
    assert settings == Settings(service=SERVICE, stack="test", region="us-east-1", table="records", look=2)


def test_no_secret_stands_in_the_environment() -> None:
    found = made(webhook=SECRET, topic_arn=TOPIC)
    assert set(found.one(":Function").inputs["environment"]["variables"]) == {
        "TURNOUT_SERVICE",
        "TURNOUT_STACK",
        "TURNOUT_TABLE",
        "TURNOUT_LOOK",
    }


def test_the_log_is_made_before_the_function_and_kept_for_a_while() -> None:
    found = made(log_retention_days=7)
    log, function = found.one(":LogGroup"), found.one(":Function")
    assert log.inputs["name"] == f"/aws/lambda/{function.inputs['name']}"
    assert log.inputs["retentionInDays"] == 7
    assert {log.name, f"{NAME}-runner-policy"} <= function.dependencies
    assert statements(found)["WriteOwnLog"]["Resource"] == [f"arn:aws:logs:us-east-1:*:log-group:{log.inputs['name']}:*"]


def test_only_the_schedule_s_role_may_invoke_and_only_this_function() -> None:
    found = made()
    assert found.all(":Permission") == []
    assert found.all(":FunctionUrl") == []
    assert list(statements(found, "invoke-policy")) == ["InvokeRunner"]
    invoke = statements(found, "invoke-policy")["InvokeRunner"]
    assert (invoke["Action"], invoke["Resource"]) == (["lambda:InvokeFunction"], [FUNCTION])
    role = found.one(":Role", "invoke")
    (trust,) = json.loads(role.inputs["assumeRolePolicy"])["Statement"]
    assert trust["Principal"] == {"Service": "scheduler.amazonaws.com"}
    assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": ACCOUNT}}
    assert f"{NAME}-invoke-policy" in found.one(":Schedule").dependencies


def test_only_lambda_takes_the_function_s_role_on() -> None:
    (trust,) = json.loads(made().one(":Role", "runner").inputs["assumeRolePolicy"])["Statement"]
    assert trust["Principal"] == {"Service": "lambda.amazonaws.com"}


def test_traffic_is_moved_at_the_production_listener_only() -> None:
    found = statements(made())
    assert found["MoveTraffic"]["Resource"] == found["SendVariants"]["Resource"] == [LISTENER]
    assert found["EndVariants"]["Resource"] == [f"{ELB}:listener-rule/app/svc/50dc6c495c0c9188/f2f7dc8efc522ab2/*"]
    assert found["LetSchedulesStepDown"]["Resource"] == [STEP_DOWN]
    assert found["LetSchedulesStepDown"]["Condition"] == {"StringEquals": {"iam:PassedToService": "scheduler.amazonaws.com"}}
    everywhere = [sid for sid, s in found.items() if s["Resource"] == ["*"]]
    assert everywhere == ["See"]


def test_items_of_this_service_in_this_stack_only() -> None:
    found = statements(made(record_table="records"))["KeepOwnRecordAndRollouts"]
    assert found["Resource"] == ["arn:aws:dynamodb:us-east-1:*:table/records"]
    keys = {"dynamodb:LeadingKeys": [f"{SERVICE}/test", f"{SERVICE}/test/*"]}
    assert found["Condition"] == {"ForAllValues:StringLike": keys, "Null": {"dynamodb:LeadingKeys": "false"}}


def test_mirrors_of_own_groups_and_requests_of_own_environments_only() -> None:
    found = statements(made())
    assert found["AskForMirrors"]["Resource"] == [f"arn:aws:ssm:us-east-1:*:parameter/turnout/mirror/{SERVICE}-test-*"]
    assert found["ReadMirroredRequests"]["Resource"] == [f"arn:aws:logs:us-east-1:*:log-group:/turnout/{SERVICE}/test/*"]


def test_people_are_told_only_where_it_is_said() -> None:
    assert not {"TellPeople", "ReadOwnSecrets", "ReadOwnParameters"} & set(statements(made()))
    found = statements(made(topic_arn=TOPIC, webhook=SECRET))
    assert found["TellPeople"]["Resource"] == [TOPIC]
    assert found["ReadOwnSecrets"]["Resource"] == [SECRET]
    by_parameter = statements(made(webhook="ssm:/svc/hook"))
    assert by_parameter["ReadOwnParameters"]["Resource"] == ["arn:aws:ssm:us-east-1:*:parameter/svc/hook"]


def test_a_topic_s_own_key_is_used_through_sns_and_for_that_topic_only() -> None:
    found = statements(made(topic_arn=TOPIC, topic_key_arn=KEY))["EncryptForTopic"]
    assert (found["Action"], found["Resource"]) == (["kms:Decrypt", "kms:GenerateDataKey*"], [KEY])
    only = {"kms:ViaService": "sns.us-east-1.amazonaws.com", "kms:EncryptionContext:aws:sns:topicArn": TOPIC}
    assert found["Condition"] == {"StringEquals": only}
    assert "EncryptForTopic" not in statements(made(topic_arn=TOPIC))
    assert "EncryptForTopic" not in statements(made(topic_key_arn=KEY))


def test_what_cannot_be_delivered_goes_to_a_queue_where_there_is_one() -> None:
    assert "deadLetterConfig" not in made().one(":Schedule").inputs["target"]
    found = made(dead_letter_queue_arn=QUEUE)
    assert found.one(":Schedule").inputs["target"]["deadLetterConfig"] == {"arn": QUEUE}
    assert statements(found, "invoke-policy")["KeepUndelivered"]["Resource"] == [QUEUE]


def test_an_event_is_neither_kept_nor_tried_again_since_the_next_one_comes() -> None:
    found = made().one(":FunctionEventInvokeConfig").inputs
    assert (found["maximumEventAgeInSeconds"], found["maximumRetryAttempts"]) == (60, 0)


def test_people_hear_of_a_runner_that_fails_and_of_one_that_is_not_invoked() -> None:
    found = made(alarm_topic_arn=TOPIC, rate_minutes=2)
    fails, silent = found.one(":MetricAlarm", "fails").inputs, found.one(":MetricAlarm", "silent").inputs
    assert (fails["metricName"], fails["treatMissingData"]) == ("Errors", "notBreaching")
    assert (silent["metricName"], silent["treatMissingData"]) == ("Invocations", "breaching")
    for alarm in (fails, silent):
        assert alarm["dimensions"] == {"FunctionName": found.outputs["function_name"]}
        assert alarm["alarmActions"] == [TOPIC]
        assert alarm["period"] == 120
    assert made().one(":MetricAlarm", "fails").inputs["alarmActions"] == []


@pytest.mark.parametrize("stack_free_name", [SERVICE, "x" * 90])
def test_names_fit(stack_free_name: str) -> None:
    found = made(stack_free_name)
    assert len(found.one(":Function").inputs["name"]) <= 64
    assert found.one(":Schedule").inputs["name"] == found.one(":Function").inputs["name"]
    assert all(len(role.name + AUTO_SUFFIX) <= 64 for role in found.all(":Role"))


def test_another_rate_is_spelt_as_the_scheduler_wants_it() -> None:
    assert made(rate_minutes=5).one(":Schedule").inputs["scheduleExpression"] == "rate(5 minutes)"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"rate_minutes": 0}, "rate_minutes = 0"),
        ({"rate_minutes": 61}, "rate_minutes = 61"),
        ({"timeout": 901}, "timeout = 901: is outside 30..900 seconds; write 30 to 900"),
        ({"timeout": 29}, "timeout = 29"),
        ({"memory": 128}, "memory = 128"),
        ({"memory": 10_241}, "memory = 10241"),
        ({"concurrency": 0}, "concurrency = 0"),
        ({"concurrency": 3}, "concurrency = 3"),
        ({"look": 0}, "look = 0"),
        ({"look": 31}, "look = 31"),
        ({"log_retention_days": 31}, "log_retention_days = 31: is no time for which logs are kept; write one of 1, 3,"),
        ({"listener_arn": ...}, "listener_arn is missing"),
        ({"rate_minute": 1}, "write rate_minutes"),
    ],
    ids=str,
)
def test_what_would_not_drive_is_refused(changes: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said.replace(".", r"\.")):
        made(**changes)


def test_what_lambda_allows_is_allowed() -> None:
    assert runner_policy.faults({}) == []
    names = ("rate_minutes", "timeout", "memory", "concurrency", "look")
    for extremes in ((1, 900, 10_240, 1, 30), (60, 30, 256, 2, 1)):
        assert runner_policy.faults(dict(zip(names, extremes, strict=True))) == []


@pytest.mark.parametrize("service", ["svc", "a" * 40, "a" * 60, "a" * 56 + "-b"])
def test_a_step_down_s_schedule_is_allowed_whatever_its_name_is_cut_to(service: str) -> None:
    from turnout_components.naming import group_name, shorten
    from turnout_components.step_down import SCHEDULE_NAME_LIMIT

    group = group_name(service, "dev", "blue", "sha256:" + "ab" * 32)
    name = shorten(f"{group}-warm-pool", SCHEDULE_NAME_LIMIT)
    policy = runner_policy.runner_policy(
        service=service,
        stack="dev",
        region="us-east-1",
        table="t",
        listener_arn=LISTENER,
        step_down_role_arn=STEP_DOWN,
        log_group="/aws/lambda/x",
    )
    (resource,) = next(s for s in policy["Statement"] if s["Sid"] == "ScheduleStepDowns")["Resource"]
    assert resource.endswith("*")
    assert f"arn:aws:scheduler:us-east-1:*:schedule/default/{name}".startswith(resource[:-1])


VPC = {"vpc_id": "vpc-1", "subnet_ids": ["subnet-1", "subnet-2"], "cluster_security_group_id": "sg-cluster"}
IN_CLUSTER: dict[str, Any] = {"name": "models", "namespace": "shop", "vpc": VPC}


def test_on_eks_the_handler_finds_its_cluster_and_what_steps_down_there() -> None:
    steps = {"step_down_image": "k@sha256:1", "step_down_account": "stepper"}
    found = made(cluster={**IN_CLUSTER, **steps}, record_table="records")
    settings = Settings.of({**found.one(":Function").inputs["environment"]["variables"], "AWS_REGION": "us-east-1"})
    assert settings.place() == Place(EKS, "records", cluster="models", **steps)
    plain = made(cluster=IN_CLUSTER).one(":Function").inputs["environment"]["variables"]
    assert set(plain) & {"TURNOUT_STEP_DOWN_IMAGE", "TURNOUT_STEP_DOWN_ACCOUNT"} == set()


def test_on_eks_the_function_s_group_may_do_in_one_namespace_what_a_driver_needs_and_no_more() -> None:
    found = made(cluster=IN_CLUSTER)
    role, binding = found.one(":Role", "cluster-role").inputs, found.one(":RoleBinding").inputs
    entry = found.one(":AccessEntry").inputs
    rights = {(right.group, right.resource): set(right.verbs) for right in WORKLOADS}
    assert {(r["apiGroups"][0], r["resources"][0]): set(r["verbs"]) for r in role["rules"]} == rights
    assert role["metadata"]["namespace"] == binding["metadata"]["namespace"] == "shop"
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    assert [subject["name"] for subject in binding["subjects"]] == entry["kubernetesGroups"]
    assert {subject["kind"] for subject in binding["subjects"]} == {"Group"}
    assert entry["clusterName"] == "models"
    assert entry["principalArn"] == found.one(":Function").inputs["role"]


def test_on_eks_the_function_stands_where_a_private_endpoint_answers_and_is_let_in() -> None:
    found = made(cluster=IN_CLUSTER)
    own = found.one(":SecurityGroup")
    network = found.one(":Function").inputs["vpcConfig"]
    assert network["subnetIds"] == ["subnet-1", "subnet-2"]
    way_in = found.one(":SecurityGroupIngressRule").inputs
    assert [way_in["referencedSecurityGroupId"]] == network["securityGroupIds"]
    assert (way_in["securityGroupId"], way_in["fromPort"], way_in["toPort"]) == ("sg-cluster", 443, 443)
    assert own.inputs["vpcId"] == "vpc-1"
    names = {f"{NAME}-cluster-binding", f"{NAME}-cluster-entry", f"{NAME}-runner-out", f"{NAME}-runner-to-cluster"}
    assert names <= found.one(":Function").dependencies
    assert "ec2:CreateNetworkInterface" in statements(found)["StandInNetwork"]["Action"]


def test_a_function_outside_a_network_makes_no_interfaces() -> None:
    found = made(cluster={**IN_CLUSTER, "vpc": None})
    assert "vpcConfig" not in found.one(":Function").inputs
    assert found.all(":SecurityGroup") == []
    assert "StandInNetwork" not in statements(found)
    assert statements(found)["FindCluster"]["Resource"] == ["arn:aws:eks:us-east-1:*:cluster/models"]
    assert not {"SizeOwnGroups", "LetSchedulesStepDown", "AskForMirrors"} & set(statements(found))
    assert made().all(":AccessEntry") == []
