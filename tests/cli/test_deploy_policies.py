"""Policies in deployments: which run where, and what comes of what they find; the engine is a script, or the local one."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pulumi.automation import events
from pulumi.automation._cmd import CommandResult
from pulumi.automation.errors import CommandError, create_command_error

from turnout import deploy
from turnout.deploy import LOCAL_ENGINE, PULUMI, Outcome
from turnout.engine.command import LocalEngineCommand
from turnout.progress import Step
from turnout.stacks import Stack

PROGRAM = """
import pulumi
import pulumi_aws as aws

on = pulumi.ResourceOptions(provider=aws.Provider("aws", region="eu-west-1"))
aws.ec2.Vpc("net", cidr_block="10.0.0.0/20", opts=on)
"""
PACK = """
from pulumi_policy import EnforcementLevel, PolicyPack, ResourceValidationPolicy

def small(args, report):
    if args.resource_type == "aws:ec2/vpc:Vpc" and not args.props["cidrBlock"].endswith("/16"):
        report(f"cidrBlock is {args.props['cidrBlock']}")

PolicyPack("house", [ResourceValidationPolicy("small", "Networks are /16.", small, EnforcementLevel.MANDATORY)])
"""


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    """A stack in AWS whose project has policies."""
    (tmp_path / "Pulumi.yaml").write_text("name: shop\nruntime: python\nmain: program\n")
    (tmp_path / "Pulumi.prod.yaml").write_text("config:\n  shop:cloud: aws\n")
    for folder, text in (("program", PROGRAM), ("policies", PACK)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "__main__.py").write_text(text)
    (tmp_path / "policies" / "PulumiPolicy.yaml").write_text("runtime: python\nversion: 1.0.0\n")
    file = tmp_path / "Pulumi.prod.yaml"
    return Stack("prod", "shop", tmp_path, file, "shop", "aws", "eu-west-1", "table", tmp_path, {}, "blue", {})


class Heard:
    """A progress that keeps messages."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, str]] = []

    def header(self, operation: str, stack: str, engine: str) -> None: ...

    def step(self, step: Step) -> None: ...

    def message(self, severity: str, text: str) -> None:
        self.messages.append((severity, text))


def test_previews_and_ups_of_an_account_run_the_projects_policies(stack: Stack) -> None:
    folder = str(stack.root / "policies")
    local = replace(stack, cloud="local")
    for one, operation in ((stack, "preview"), (stack, "up"), (local, "preview")):
        assert deploy.policies_of(one, operation) == {"policy_packs": [folder]}  # type: ignore[arg-type]
    for one, operation in ((local, "up"), (stack, "destroy"), (stack, "refresh"), (replace(stack, root=stack.file), "up")):
        assert deploy.policies_of(one, operation) == {}  # type: ignore[arg-type]
    (stack.root / "policies" / "config.json").write_text("{}")
    assert deploy.policies_of(stack, "up")["policy_pack_configs"] == [str(stack.root / "policies" / "config.json")]


def test_the_local_engines_preview_is_refused_by_a_policy_and_by_nothing_else(stack: Stack, tmp_path: Path) -> None:
    outcome = deploy.run(stack, "preview", tmp_path / "home", Heard(), LOCAL_ENGINE)
    assert outcome.errors == ("policy small refuses net: cidrBlock is 10.0.0.0/20",)
    assert (outcome.code, outcome.is_refused_by_policies) == (1, True)
    assert [(each.policy, each.pack, each.resource) for each in outcome.findings] == [("small", "house", "net")]
    assert {step["urn"].rpartition("::")[2] for step in outcome.steps} >= {"net", "aws"}


def test_the_packs_configuration_reaches_the_local_engine(stack: Stack, tmp_path: Path) -> None:
    (stack.root / "policies" / "config.json").write_text('{"small": "advisory"}')
    outcome = deploy.run(stack, "preview", tmp_path / "home", Heard(), LOCAL_ENGINE)
    assert (outcome.code, [each.level.value for each in outcome.findings]) == (0, ["advisory"])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--policy-pack-config", "c.json"], "1 --policy-pack-config for 0 --policy-pack: give one for each, or none"),
        (["--policy-pack", "nowhere"], "there is no policy pack in .*nowhere: the folder does not exist"),
    ],
)
def test_the_local_engine_refuses_packs_before_it_begins(stack: Stack, tmp_path: Path, options: list[str], said: str) -> None:
    engine = LocalEngineCommand(tmp_path / "home", {})
    engine.run(["stack", "init", "prod"], str(stack.root), {})
    with pytest.raises(CommandError, match=rf"code: 2\n(.|\n)*{said}"):
        engine.run(["preview", "--stack", "prod", *options], str(stack.root), {})
    with pytest.raises(CommandError, match="option --policy-pack of `refresh` is not supported"):
        engine.run(["refresh", "--stack", "prod", "--policy-pack", "policies"], str(stack.root), {})


def policy(level: str, message: str) -> events.EngineEvent:
    """As Pulumi writes it, with its markup."""
    found = {
        "resourceUrn": "urn:pulumi:prod::shop::aws:ec2/vpc:Vpc::net",
        "message": f"<{{%fg 13%}}>{message}<{{%reset%}}>\n",
        "color": "raw",
        "policyName": "small",
        "policyPackName": "house",
        "policyPackVersion": "1",
        "policyPackVersionTag": "1",
        "enforcementLevel": level,
    }
    return events.EngineEvent.from_json({"sequence": 1, "timestamp": 1, "policyEvent": found})


def said(text: str) -> events.EngineEvent:
    event = {"message": f"{text}\n", "color": "raw", "severity": "error"}
    return events.EngineEvent.from_json({"sequence": 1, "timestamp": 1, "diagnosticEvent": event})


class Played:
    """Stands for the Automation API's stack."""

    def __init__(self, *played: events.EngineEvent) -> None:
        self.played = played
        self.asked: dict[str, Any] = {}

    def up(self, on_event: Any, **asked: Any) -> None:
        self.asked = asked
        for event in self.played:
            on_event(event)
        raise create_command_error(CommandResult("", "error: update failed", 255))


def ended(stack: Stack, monkeypatch: pytest.MonkeyPatch, played: Played) -> tuple[Outcome, Heard]:
    monkeypatch.setattr(deploy, "_select", lambda *_: played)
    heard = Heard()
    return deploy.run(stack, "up", stack.root, heard, PULUMI), heard


def test_pulumis_refusal_is_the_error_and_its_advice_a_warning(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    played = Played(policy("advisory", "Demand.\nnot good"), policy("mandatory", "Demand.\nwrong"), said("update failed"))
    outcome, heard = ended(stack, monkeypatch, played)
    assert outcome.errors == ("policy small refuses net: wrong",)
    assert outcome.is_refused_by_policies
    assert heard.messages == [("warning", "policy small advises: net: not good")]
    assert played.asked["policy_packs"] == [str(stack.root / "policies")]


def test_another_error_stays_one(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    played = Played(policy("mandatory", "Demand.\nwrong"), said("creating a bucket: taken"), said("update failed"))
    outcome, _ = ended(stack, monkeypatch, played)
    assert outcome.errors == ("policy small refuses net: wrong", "creating a bucket: taken")
    assert not outcome.is_refused_by_policies
    outcome, _ = ended(stack, monkeypatch, Played(said("update failed")))
    assert outcome.errors == ("update failed",)
