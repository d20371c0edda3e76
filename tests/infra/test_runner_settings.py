"""A function that drives rollouts in a stack's config: what is wrong with it, and whether its archive is there."""

from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from stack_config import fault, faults, read

from infra import providers

ASKED = {"code_bucket": "models", "code_key": "runner/0af3.zip"}
KEY = "arn:aws:kms:us-east-1:123456789012:key/0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9"
TOPIC = "arn:aws:sns:us-east-1:123456789012:people"
QUEUE = "arn:aws:sqs:us-east-1:123456789012:undelivered"


def test_there_is_no_function_unless_the_stack_says_so(root: Path) -> None:
    assert read(root).runner is None
    assert read(root, runner=None).runner is None


def test_all_that_can_be_said_of_it_is_accepted(root: Path) -> None:
    said = {"code_version": "v7", "topic_key_arn": KEY, "alarm_topic_arn": TOPIC, "dead_letter_queue_arn": QUEUE}
    numbers = {"rate_minutes": 2, "timeout": 150, "memory": 1024, "concurrency": 1, "look": 2.5, "log_retention_days": 7}
    given = {**ASKED, **said, **numbers}
    found = read(root, runner=given, rollout={"alerts": {"topic": TOPIC}}).runner
    assert found is not None
    assert found.model_dump() == given


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"code_key": ""}, 'turnout:runner.code_key = "": string should have at least 1 character; write the archive\'s key'),
        ({"code_bucket": "s3://models"}, 'turnout:runner.code_bucket = "s3://models": '),
        ({"rate": 5}, "turnout:runner.rate = 5: is no setting; remove it; known here: code_bucket, code_key,"),
        ({"rate_minutes": 0}, "turnout:runner.rate_minutes = 0: is outside 1..60 minutes; write 1 to 60"),
        ({"timeout": 901}, "turnout:runner.timeout = 901: is outside 30..900 seconds; write 30 to 900"),
        ({"memory": 128}, "turnout:runner.memory = 128: is outside 256..10240 MB"),
        ({"concurrency": 3}, "turnout:runner.concurrency = 3: is outside 1..2 invocations at once"),
        ({"look": 0.5}, "turnout:runner.look = 0.5: is outside 1..30 seconds"),
        ({"log_retention_days": 31}, "turnout:runner.log_retention_days = 31: is no time for which logs are kept"),
        ({"alarm_topic_arn": QUEUE}, f'turnout:runner.alarm_topic_arn = "{QUEUE}": string should match pattern'),
        ({"dead_letter_queue_arn": f"{QUEUE}.fifo"}, "turnout:runner.dead_letter_queue_arn ="),
        ({"topic_key_arn": "alias/people"}, "turnout:runner.topic_key_arn ="),
        (
            {"topic_key_arn": KEY},
            f'turnout:runner.topic_key_arn = "{KEY}": is a key of no topic; name the topic in rollout.alerts.topic, or leave',
        ),
    ],
    ids=str,
)
def test_what_would_not_drive_is_told_with_its_field(root: Path, changes: dict[str, Any], line: str) -> None:
    assert fault(root, runner={**ASKED, **changes}).startswith(line)


def test_every_fault_is_told_at_once_and_what_is_missing_by_name(root: Path) -> None:
    found = faults(root, runner={"code_bucket": "models", "timeout": 1})
    assert [line.partition(" = ")[0] for line in found] == ["turnout:runner.code_key"]
    found = faults(root, runner={**ASKED, "timeout": 1, "memory": 1})
    assert [line.partition(" = ")[0] for line in found] == ["turnout:runner.timeout", "turnout:runner.memory"]


def test_on_the_local_cloud_it_is_said_that_nobody_runs_it(root: Path) -> None:
    local = read(root, runner=ASKED)
    assert local.notes.startswith("; the local cloud does not run the rollout runner: ")
    closed = {"port": 80, "allowed_cidrs": ["203.0.113.0/24"]}
    in_aws = read(root, environ={}, cloud="aws", ingress=closed, runner=ASKED)
    assert in_aws.notes == ""


@pytest.mark.parametrize("rollout", [{"smoke_test": "probe"}, {"steps": [5, {"smoke_test": "probe"}, 100]}])
def test_it_is_said_who_takes_a_smoke_test(root: Path, rollout: dict[str, Any]) -> None:
    closed = {"port": 80, "allowed_cidrs": ["203.0.113.0/24"]}
    found = read(root, environ={}, cloud="aws", ingress=closed, runner=ASKED, rollout=rollout)
    assert found.notes == "; the rollout runner runs no commands: `turnout rollout run` takes the smoke test"
    assert read(root, environ={}, cloud="aws", ingress=closed, rollout=rollout).notes == ""


class Archives:
    """A bucket `models` with one archive, in one version."""

    def head_object(self, **asked: str) -> dict[str, str]:
        if (asked["Bucket"], asked["Key"], asked.get("VersionId", "v7")) != ("models", "runner/0af3.zip", "v7"):
            raise ClientError({"Error": {"Code": "404"}}, "HeadObject")
        return {}

    def get_item(self, **_: Any) -> Any:
        raise ClientError({"Error": {"Code": "ResourceNotFoundException"}}, "GetItem")


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"code_key": "runner/0af4.zip"}, "s3://models/runner/0af4.zip"),
        ({"code_bucket": "archives"}, "s3://archives/runner/0af3.zip"),
        ({"code_version": "v6"}, "s3://models/runner/0af3.zip version v6"),
        ({"code_version": "v7"}, None),
        ({}, None),
    ],
    ids=str,
)
def test_an_archive_that_is_not_there_stops_the_program_before_anything_is_touched(
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    changes: dict[str, str],
    where: str | None,
) -> None:
    monkeypatch.setattr(providers, "aws_client", lambda *_: Archives())
    monkeypatch.setattr(providers, "verify", lambda *_, **__: [])
    with pytest.raises(SystemExit) as ended:
        providers.decide_traffic(read(root, runner={**ASKED, **changes}))
    assert ended.value.code == 2
    said = capsys.readouterr().err
    if where is None:
        assert "turnout init" in said, "the archive is there: the next question is the record's"
    else:
        assert said == f"turnout:runner = {where}: cannot be read (404); upload it there (docs/rollout-runner.md)\n"
