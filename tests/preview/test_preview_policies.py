"""`turnout preview --base` with a project's own policy pack: what is new, what stands, what is refused."""

import json
from collections.abc import Callable

import pytest
from typer.testing import CliRunner, Result

from tests.preview.conftest import Repository
from turnout.cli import app

PACK = """
from pulumi_policy import EnforcementLevel, PolicyPack, ResourceValidationPolicy, Severity

def small(args, report):
    if args.resource_type == "aws:ec2/vpc:Vpc" and not args.props["cidrBlock"].endswith("/16"):
        report(f"cidrBlock is {args.props['cidrBlock']}")

def named(args, report):
    if args.resource_type == "aws:iam/role:Role" and args.props["tags"]["Name"] != "good":
        report(f"is called {args.props['tags']['Name']}")

def scoped(args, report):
    if args.resource_type == "aws:iam/rolePolicy:RolePolicy" and "*" in args.props["policy"]:
        report(args.props["policy"])

PolicyPack("house", [
    ResourceValidationPolicy("small", "Networks are /16.", small, EnforcementLevel.MANDATORY, severity=Severity.HIGH),
    ResourceValidationPolicy("named", "Roles have good names.", named),
    ResourceValidationPolicy("scoped", "No wildcards.", scoped),
])
"""
Run = Callable[..., Result]


@pytest.fixture
def preview(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> Run:
    repository.write("policies/PulumiPolicy.yaml", "runtime: python\nversion: 1.0.0\n")
    repository.write("policies/__main__.py", PACK)
    repository.commit("policies")
    monkeypatch.chdir(repository.root)
    monkeypatch.delenv("TURNOUT_STACK", raising=False)
    return lambda *arguments: CliRunner().invoke(app, ["preview", "--base", "HEAD", *arguments])


def test_what_stands_is_told_and_makes_no_comment(preview: Run, repository: Repository) -> None:
    done = preview("--comment", "comment.md")
    assert done.exit_code == 0
    assert "policies: 1 advisory (1 standing)" in done.stdout
    assert "! named (advisory): Roles have good names.\n      role: is called one (standing)" in done.stdout
    assert (repository.root / "comment.md").read_text() == ""


def test_a_mandatory_finding_is_refused_when_all_was_shown(preview: Run, repository: Repository) -> None:
    repository.replace("stacks/Pulumi.prod.yaml", "10.0.0.0/16", "10.0.0.0/20")
    repository.replace("program/__main__.py", "iam:PassRole", "iam:*")
    done = preview("--comment", "comment.md", "--html", "page.html")
    assert done.exit_code == 2
    assert '"Resource": "${role.arn}"' in done.stdout  # names stand for what only a cloud knows
    assert "✗ small (mandatory, high): Networks are /16.\n      net: cidrBlock is 10.0.0.0/20" in done.stdout
    assert "prod: small: net: cidrBlock is 10.0.0.0/20" in done.stderr
    assert "❌ `small` (mandatory, high)" in (repository.root / "comment.md").read_text()
    assert "Networks are /16." in (repository.root / "page.html").read_text()


def test_the_heads_pack_looks_at_both(preview: Run, repository: Repository) -> None:
    """A policy that becomes stricter refuses what stands: an `up` after the merge would be refused."""
    repository.replace("policies/__main__.py", '"/16"', '"/20"')
    done = preview()
    assert done.exit_code == 2
    assert "net: cidrBlock is 10.0.0.0/16 (standing)" in done.stdout


def test_programs_get_findings_and_levels_come_from_the_packs_configuration(preview: Run, repository: Repository) -> None:
    repository.replace("stacks/Pulumi.prod.yaml", "10.0.0.0/16", "10.0.0.0/20")
    repository.write("policies/config.json", '{"small": "advisory", "named": "mandatory"}')
    done = preview("--json")
    assert done.exit_code == 2
    document = json.loads(done.stdout)
    assert document["refused"] == ["prod: named: role: is called one (standing)"]
    told = [(each["policy"], each["level"], each["standing"]) for each in document["stacks"][0]["findings"]]
    assert told == [("named", "mandatory", True), ("small", "advisory", False)]


def test_a_head_without_the_bases_pack_is_told(preview: Run, repository: Repository) -> None:
    repository.git("rm", "-q", "policies/PulumiPolicy.yaml")
    done = preview("--comment", "comment.md")
    assert done.exit_code == 0
    assert "! policy-pack (advisory, high): The project keeps its policy pack.\n      shop-prod: policies/Pulumi" in done.stdout
    assert "`policy-pack`" in (repository.root / "comment.md").read_text()
    repository.commit("no pack")
    assert "policy-pack" not in preview().stdout


def test_a_pack_that_does_not_start_ends_the_preview_in_a_line(preview: Run, repository: Repository) -> None:
    repository.write("policies/__main__.py", "import nothing_of_that_name")
    done = preview()
    assert done.exit_code == 1
    assert "prod of HEAD cannot be planned" in done.stderr
    assert "ModuleNotFoundError: No module named 'nothing_of_that_name' (__main__.py, line 1)" in done.stderr
    assert "Traceback" not in done.output
