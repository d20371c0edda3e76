"""What the checklist's facts are read from: manifests, files, topics, git."""

import hashlib
import os
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from moto import mock_aws
from turnout_components.release import ReleaseError, parse
from turnout_components.rollout_spec import Alerts, RolloutSpec

from turnout.cloud import images
from turnout.rollout.checklist_facts import gather, runbook, silent, targets, told
from turnout.rollout.status import RolloutStatus

START = datetime(2026, 1, 2, 3, 0, tzinfo=UTC)
MODEL = b"weights"


@pytest.fixture
def sns() -> Iterator[Any]:
    with mock_aws():
        yield boto3.client("sns", region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test")


@pytest.fixture
def begun(tmp_path: Path) -> tuple[RolloutStatus, Path]:
    """A rollout of two releases of one image and model, and their folder."""
    (tmp_path / "image.toml").write_text('name = "tiny"\nfiles = ["server.py"]\ncommand = ["true"]\n')
    (tmp_path / "server.py").write_text("serve()\n")
    (tmp_path / "model.txt").write_bytes(MODEL)
    folder = tmp_path / "releases"
    folder.mkdir()
    model = {"name": "m", "uri": "file:model.txt", "sha256": "sha256:" + hashlib.sha256(MODEL).hexdigest()}
    for name in ("m-1", "m-2"):
        content = {
            "model": {**model, "version": name},
            "image": images.read(tmp_path).reference,
            "engine": {"name": "tiny"},
            "provenance": {"evaluation": {"accuracy": 0.9}},
        }
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(content))
    spec = RolloutSpec()
    status = RolloutStatus(
        id="r",
        spec=spec,
        plan=spec.plan(),
        stable="blue",
        candidate="green",
        releases={"blue": parse(folder / "m-1.yaml").id, "green": parse(folder / "m-2.yaml").id},
        began=START,
        by="ops",
        total=2,
        step_began=START,
    )
    return status, folder


def nothing(service: str) -> Any:
    raise AssertionError(f"{service} is not to be asked")


def look(begun: tuple[RolloutStatus, Path], **more: Any) -> Any:
    given: dict[str, Any] = {"client": nothing, "ecr": nothing, "alerts": Alerts(), "thresholds": {"accuracy": 0.8}}
    return gather(*begun, 2, **{**given, **more})


def test_releases_and_the_way_back_are_read_from_their_manifests(begun: tuple[RolloutStatus, Path]) -> None:
    facts = look(begun)
    assert (facts.candidate.name, facts.stable.name, facts.stable_ready) == ("m-2", "m-1", 2)
    assert (facts.broken, facts.targets, facts.told, facts.thresholds) == ([], (), {}, {"accuracy": 0.8})
    (begun[1].parent / "model.txt").write_bytes(b"other")
    assert "the release says" in look(begun).broken[0]
    (begun[1] / "m-2.yaml").unlink()
    with pytest.raises(ReleaseError, match="no manifest"):
        look(begun)


def test_a_topic_reaches_somebody_when_a_subscription_is_confirmed(sns: Any) -> None:
    topic = sns.create_topic(Name="on-call")["TopicArn"]
    alerts = Alerts(topic=topic)
    (name,) = targets(alerts)
    assert name == "SNS topic on-call"
    assert silent(alerts, lambda service: sns) == {name: "it has no confirmed subscription; subscribe somebody"}
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint="arn:aws:sqs:us-east-1:123456789012:pager")
    assert silent(alerts, lambda service: sns) == {}
    gone = Alerts(topic=topic + "-gone")
    assert "NotFound" in silent(gone, lambda service: sns)["SNS topic on-call-gone"]


def test_a_subscription_that_nobody_has_confirmed_reaches_nobody() -> None:
    class Pending:
        def get_paginator(self, _: str) -> "Pending":
            return self

        def paginate(self, **_: Any) -> Any:
            return [{"Subscriptions": [{"SubscriptionArn": "PendingConfirmation"}]}]

    alerts = Alerts(topic="arn:aws:sns:us-east-1:123456789012:on-call")
    assert list(silent(alerts, lambda service: Pending())) == ["SNS topic on-call"]


def test_the_address_of_a_webhook_is_not_told() -> None:
    alerts = Alerts(webhook="https://hooks.example.com/T0/secret")
    assert targets(alerts) == ("webhook",)
    assert silent(alerts, nothing) == {}


def test_who_was_told_that_it_begins_and_who_was_not(begun: tuple[RolloutStatus, Path]) -> None:
    alerts = Alerts(webhook="http://127.0.0.1:1/hook")
    called: list[str] = []
    assert told(look(begun, alerts=alerts).targets, lambda: called.append("x")) == {"webhook": ""}
    assert called == ["x"]

    def fail() -> None:
        raise OSError("webhook answered 500")

    assert told(look(begun, alerts=alerts).targets, fail) == {"webhook": "webhook answered 500"}
    assert look(begun, alerts=alerts).told == {}
    assert told(look(begun).targets, fail) == {}, "nobody is there to be told"


def test_a_runbooks_last_change_is_its_commit_and_else_its_files(tmp_path: Path) -> None:
    def git(*words: str) -> None:
        author = {"GIT_AUTHOR_DATE": "2026-01-02T04:00:00+01:00", "GIT_COMMITTER_DATE": "2026-01-02T04:00:00+01:00"}
        who = ("-c", "user.name=t", "-c", "user.email=t@example.com")
        subprocess.run(["git", *who, *words], cwd=tmp_path, check=True, capture_output=True, env={**os.environ, **author})

    book = tmp_path / "runbook.md"
    book.write_text("1. abort\n")
    os.utime(book, (START.timestamp() + 60,) * 2)
    assert runbook(tmp_path, "runbook.md") == ("", datetime.fromtimestamp(START.timestamp() + 60, UTC)), "no repository"
    git("init", "-q")
    git("add", ".")
    git("commit", "-q", "-m", "Add a runbook")
    assert runbook(tmp_path, "runbook.md") == ("", START)
    book.write_text("1. abort\n2. look\n")
    os.utime(book, (START.timestamp() + 120,) * 2)
    assert runbook(tmp_path, "runbook.md") == ("", datetime.fromtimestamp(START.timestamp() + 120, UTC))
    assert runbook(tmp_path, "nowhere.md")[0].startswith("there is no file")
    assert runbook(tmp_path, "https://wiki.example.com/runbook") == ("", None)
    assert runbook(tmp_path, None) == ("", None)
