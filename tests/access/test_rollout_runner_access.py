"""What the function that drives rollouts may do, held against every call that it makes: nothing is missing and nothing is too
much. And the component as it comes to be in moto."""

import io
import json
import zipfile
from typing import Any

import pytest
from turnout_components.runner_policy import runner_policy

from tests.access.conftest import PROVIDER, Deployed
from tests.access.driven_rollouts import ACCOUNT, COLD_AT_ONCE, COLD_LATER, EXPERIMENT, REGION, STEP_DOWN, Driven, webhook
from tests.access.policies import says
from tests.engine_state.bench import Project
from tools.runner_archive import CALLED
from turnout.providers.aws.clients import ENDPOINT_KEYS

NOT_BY_CALLS = {"iam:PassRole", "logs:CreateLogStream", "logs:PutLogEvents", "kms:Decrypt"}
"""Asked by a service, or done by Lambda itself, on the function's behalf."""
HEALTH = {"name": "health", "kind": "health"}
PASSED = {"iam:PassedToService": "scheduler.amazonaws.com"}


@pytest.fixture(scope="module")
def driven(endpoint: str) -> Any:
    """A mirror, three promotions, one of them by an experiment, and a return through the function's code: standbys that become
    cold later and at once, a webhook whose address is in a parameter and one in a secret."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        service = Driven(endpoint, monkeypatch)
        service.deploy()
        topic = service.api("sns").create_topic(Name="people")["TopicArn"]
        runner = service.runner()
        with webhook(service.posted) as address:
            service.api("ssm").put_parameter(Name="/svc/hook", Value=address, Type="SecureString")
            secret = service.api("secretsmanager").create_secret(Name="hook", SecretString=address)["ARN"]
            service.start(COLD_LATER, strategy="shadow", gates=[HEALTH])
            ends = [service.drive(runner)["state"]]
            service.start(COLD_LATER, alerts={"topic": topic, "webhook": "ssm:/svc/hook"})
            ends.append(service.drive(runner)["state"])
            service.start(COLD_AT_ONCE, alerts={"topic": topic, "webhook": secret})
            ends.append(service.drive(runner)["state"])
            service.resize("green", 1, 3)
            service.start(COLD_LATER, strategy="ab", experiment=EXPERIMENT, gates=[HEALTH])
            ends.append(service.drive(runner)["state"])
            service.resize("blue", 1, 3)
            service.start(COLD_LATER, observe="1h")
            runner.run(*service.short())
            service.resize("blue", 0, 0)
            ends.append(service.drive(runner)["state"])
        yield service, ends, topic, secret


def policy(service: Driven, topic: str | None, hook: str | None, /, **changes: str) -> dict[str, Any]:
    record = service.records.read()
    assert record is not None
    given: dict[str, Any] = {
        "service": "svc",
        "stack": "dev",
        "region": REGION,
        "table": "records",
        "listener_arn": str(record.listener),
        "step_down_role_arn": STEP_DOWN,
        "log_group": "/aws/lambda/svc-dev-rollout-runner",
        "topic_arn": topic,
        "webhook": hook,
    }
    return runner_policy(**{**given, **changes})


def test_the_rollouts_ran_as_any_driver_s_do(driven: Any) -> None:
    service, ends, _, _ = driven
    assert ends == ["finished", "promoted", "promoted", "promoted", "taken back"]
    assert [told["what"] for told in service.posted] == ["promoted", "promoted"]
    assert not [line for line in service.said if line.startswith("error") or "could not be sent" in line]


def test_the_archive_holds_the_services_that_are_called(driven: Any) -> None:
    service, _, _, _ = driven
    assert service.services == CALLED


def test_the_mirror_was_compared_and_is_over(driven: Any) -> None:
    service, _, _, _ = driven
    first = service.rollouts.read(service.rollouts.ids()[-1])
    assert first.compared.pairs == first.compared.same_answer > 2
    asked = [
        call.action for call in service.calls if call.resource.endswith(":parameter/turnout/mirror/svc-dev-blue-111111111111")
    ]
    assert {"ssm:PutParameter", "ssm:DeleteParameter"} <= set(asked)
    assert not service.api("ssm").describe_parameters(
        ParameterFilters=[{"Key": "Name", "Option": "BeginsWith", "Values": ["/turnout/mirror/"]}]
    )["Parameters"]


def test_every_call_is_allowed(driven: Any) -> None:
    service, _, topic, secret = driven
    allowed = [policy(service, topic, hook) for hook in ("ssm:/svc/hook", secret)]
    assert len(service.calls) > 100
    denied = {
        (call.action, call.resource)
        for call in service.calls
        if not any(says(each, call.action, call.resource, **call.context) == "Allow" for each in allowed)
    }
    assert denied == set()


def test_every_action_of_the_policy_is_called(driven: Any) -> None:
    service, _, topic, secret = driven
    statements = [s for hook in ("ssm:/svc/hook", secret) for s in policy(service, topic, hook)["Statement"]]
    assert {action for s in statements for action in s["Action"]} - NOT_BY_CALLS == {call.action for call in service.calls}


def test_the_experiment_sent_users_by_rules_which_are_gone(driven: Any) -> None:
    service, _, _, _ = driven
    fourth = service.rollouts.read(service.rollouts.ids()[1])
    assert fourth.trial.totals["candidate"].count == fourth.trial.totals["control"].count > 0
    record = service.records.read()
    rules = service.api("elbv2").describe_rules(ListenerArn=record.listener)["Rules"]
    assert [rule["Priority"] for rule in rules] == ["default"]


def test_a_schedule_s_role_is_passed_to_the_scheduler_only(driven: Any) -> None:
    service, _, _, _ = driven
    assert "scheduler:CreateSchedule" in {call.action for call in service.calls}
    own = policy(service, None, None)
    assert says(own, "iam:PassRole", STEP_DOWN, **PASSED) == "Allow"
    assert says(own, "iam:PassRole", STEP_DOWN, **{"iam:PassedToService": "ec2.amazonaws.com"}) is None
    assert says(own, "iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/admin", **PASSED) is None


@pytest.mark.parametrize("changes", [{"service": "other"}, {"stack": "prod"}, {"service": "sv"}, {"stack": "de"}], ids=str)
def test_another_service_s_function_may_see_and_change_nothing(driven: Any, changes: dict[str, str]) -> None:
    service, _, _, _ = driven
    other = policy(service, None, None, **changes, listener_arn="arn:aws:elasticloadbalancing:::listener/app/other/1/2")
    may = {call.action for call in service.calls if says(other, call.action, call.resource, **call.context)}
    assert may == {
        "autoscaling:DescribeAutoScalingGroups",
        "autoscaling:DescribeScheduledActions",
        "cloudwatch:GetMetricData",
        "ec2:DescribeInstances",
        "elasticloadbalancing:DescribeListeners",
        "elasticloadbalancing:DescribeRules",
        "elasticloadbalancing:DescribeTargetGroups",
        "elasticloadbalancing:DescribeTargetHealth",
    }, "what names no resource"


RUNNER = """
from turnout_components.rollout_runner import RolloutRunner
runner = RolloutRunner("rollouts", dict(service={service!r}, region="us-east-1", code_bucket="turnout-code",
    code_key={key!r}, listener_arn="arn:aws:elasticloadbalancing:us-east-1:123456789012:listener/app/svc/1/2",
    step_down_role_arn="arn:aws:iam::123456789012:role/svc-step-down", timeout={timeout}), on)
for output in ("function_arn", "function_name", "role_arn", "log_group_name"):
    pulumi.export(output, getattr(runner, output))
"""


def up(project: Project, endpoint: str, service: str = "svc", key: str = "one.zip", timeout: int = 75) -> Any:
    provider = PROVIDER.format(endpoint=endpoint, keys=sorted(ENDPOINT_KEYS))
    project.program(provider + RUNNER.format(service=service, key=key, timeout=timeout))
    project.stack().refresh()
    result = project.stack().up()
    outputs = {name: output.value for name, output in result.outputs.items()}
    return dict(result.summary.resource_changes or {}), outputs


@pytest.mark.slow
def test_a_runner_is_made_stays_changes_in_place_moves_and_goes(project: Project, endpoint: str) -> None:
    """By default: what it declares in components/test_rollout_runner.py, its types' lives in providers/test_life_cycle.py."""
    account = Deployed(endpoint, {})
    functions, schedules, s3 = account.api("lambda"), account.api("scheduler"), account.api("s3")
    s3.create_bucket(Bucket="turnout-code")
    for name in ("one", "two"):
        held = io.BytesIO()
        with zipfile.ZipFile(held, "w") as archive:
            archive.writestr("turnout/__init__.py", f"# {name}")
        s3.put_object(Bucket="turnout-code", Key=f"{name}.zip", Body=held.getvalue())

    _, made = up(project, endpoint)
    name = made["function_name"]
    assert name == "svc-dev-rollout-runner"
    assert set(up(project, endpoint)[0]) == {"same"}
    function = functions.get_function(FunctionName=name)
    assert function["Concurrency"] == {"ReservedConcurrentExecutions": 2}
    assert function["Configuration"]["Role"] == made["role_arn"]
    schedule = schedules.get_schedule(Name=name)
    assert (schedule["ScheduleExpression"], schedule["Target"]["Arn"]) == ("rate(1 minute)", made["function_arn"])
    assert account.api("logs").describe_log_groups(logGroupNamePrefix=made["log_group_name"])["logGroups"]
    role = made["role_arn"].rpartition("/")[2]
    (inline,) = account.api("iam").list_role_policies(RoleName=role)["PolicyNames"]
    live = account.api("iam").get_role_policy(RoleName=role, PolicyName=inline)["PolicyDocument"]
    assert {s["Sid"] for s in live["Statement"]} >= {"MoveTraffic", "KeepOwnRecordAndRollouts"}
    assert json.dumps(live).count("svc/dev") == 3, "its items, by two patterns, and its environments' logs"

    code = function["Configuration"]["CodeSha256"]
    changes, _ = up(project, endpoint, key="two.zip", timeout=90)
    assert (changes["update"], changes.get("create", 0), changes.get("delete", 0)) == (1, 0, 0)
    after = functions.get_function(FunctionName=name)["Configuration"]
    assert after["Timeout"] == 90
    assert after["CodeSha256"] != code

    _, moved = up(project, endpoint, service="svc2")
    assert moved["function_name"] == "svc2-dev-rollout-runner"
    assert [f["FunctionName"] for f in functions.list_functions()["Functions"]] == [moved["function_name"]]
    assert [s["Name"] for s in schedules.list_schedules()["Schedules"] if "runner" in s["Name"]] == [moved["function_name"]]

    project.stack().destroy()
    assert functions.list_functions()["Functions"] == []
    assert [s["Name"] for s in schedules.list_schedules()["Schedules"] if "runner" in s["Name"]] == []
