"""`turnout preview --base` as an operator and a pull request's job run it."""

import json
from collections.abc import Callable

import pytest
from typer.testing import CliRunner, Result

from tests.preview.conftest import Repository
from turnout.cli import app
from turnout.preview.markdown import MARK

BALANCED = """
import pulumi
import pulumi_aws as aws

port = pulumi.Config().require_int("port")
on = pulumi.ResourceOptions(provider=aws.Provider("aws", region="eu-west-1"))
vpc = aws.ec2.Vpc("net", cidr_block="10.0.0.0/16", opts=on)
nets = [aws.ec2.Subnet(f"net-{n}", vpc_id=vpc.id, cidr_block=f"10.0.{n}.0/24", opts=on) for n in (1, 2)]
balancer = aws.lb.LoadBalancer("balancer", internal=True, subnets=[net.id for net in nets], opts=on)
blue = aws.lb.TargetGroup("blue", port=port, protocol="HTTP", vpc_id=vpc.id, opts=on)
forward = {"type": "forward", "forward": {"target_groups": [{"arn": blue.arn, "weight": 100}]}}
aws.lb.Listener("live", load_balancer_arn=balancer.arn, port=80, protocol="HTTP", default_actions=[forward], opts=on)
"""
Run = Callable[..., Result]


@pytest.fixture
def preview(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `turnout preview` in the repository, which has a balanced service of stack `prod`."""
    repository.write("program/__main__.py", BALANCED)
    repository.write("stacks/Pulumi.prod.yaml", "config:\n  shop:port: '8000'\n")
    repository.commit("a balancer")
    monkeypatch.chdir(repository.root)
    monkeypatch.delenv("TURNOUT_STACK", raising=False)
    return lambda *arguments: CliRunner().invoke(app, ["preview", *arguments])


def test_what_interrupts_is_refused_unless_it_is_named(preview: Run, repository: Repository) -> None:
    repository.replace("stacks/Pulumi.prod.yaml", "8000", "8001")
    refused = preview("--base", "HEAD", "--comment", "comment.md")
    assert refused.exit_code == 2
    assert "± replace lb TargetGroup" in refused.stdout
    assert "port: 8000 → 8001   (forces replacement)" in refused.stdout
    assert "prod: blue: a target group that carries requests would be replaced, because of port" in refused.stderr
    assert "--allow" in refused.stderr
    assert "**prod would interrupt the service:**" in (repository.root / "comment.md").read_text()
    assert preview("--base", "HEAD", "--allow", "blue").exit_code == 0


def test_nothing_new_is_said_in_a_line_and_leaves_an_empty_comment(preview: Run, repository: Repository) -> None:
    """An empty file tells the job to take its comment away."""
    done = preview("--base", "HEAD", "--comment", "comment.md")
    assert (done.exit_code, done.stdout.strip()) == (0, "stack prod: no changes, 7 unchanged")
    assert (repository.root / "comment.md").read_text() == ""


def test_all_stacks_are_planned_unless_some_are_named(preview: Run, repository: Repository) -> None:
    repository.write("stacks/Pulumi.dev.yaml", "config:\n  shop:port: '8000'\n")
    repository.commit("dev")
    repository.replace("stacks/Pulumi.dev.yaml", "8000", "9000")
    document = json.loads(preview("--base", "HEAD", "--allow", "blue", "--json").stdout)
    assert [(one["stack"], len(one["changes"])) for one in document["stacks"]] == [("dev", 2), ("prod", 0)]
    assert document["stacks"][0]["interruptions"][0]["resource"] == "blue"
    alone = json.loads(preview("--base", "HEAD", "--stack", "prod", "--json").stdout)
    assert [one["stack"] for one in alone["stacks"]] == ["prod"]


def test_a_stack_whose_file_is_gone_is_told(preview: Run, repository: Repository) -> None:
    repository.write("stacks/Pulumi.dev.yaml", "config:\n  shop:port: '8000'\n")
    repository.commit("dev")
    repository.git("rm", "-q", "stacks/Pulumi.prod.yaml")
    done = preview("--base", "HEAD", "--comment", "comment.md", "--html", "page.html")
    assert done.exit_code == 0
    said = "the stack's file is gone; what is deployed stays, and no update reaches it"
    assert f"stack prod: {said}" in done.stdout
    text = (repository.root / "comment.md").read_text()
    assert f"| `prod` | {said} |  |" in text
    assert "```" not in text
    assert "Nothing changes in `dev`." in text
    assert "file is gone" in (repository.root / "page.html").read_text()


def test_the_same_merge_makes_the_same_comment(preview: Run, repository: Repository) -> None:
    repository.replace("stacks/Pulumi.prod.yaml", "8000", "8001")
    repository.commit("another port")
    texts = []
    for name in ("one.md", "two.md"):
        assert preview("--base", "HEAD~1", "--head", "HEAD", "--allow", "blue", "--comment", name).exit_code == 0
        texts.append((repository.root / name).read_text())
    assert texts[0] == texts[1]
    assert texts[0].startswith(MARK)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--base", "no-such-branch"), "no-such-branch is no revision"),
        (("--base", "HEAD", "--stack", "test"), "the working tree has no stack test; stacks: prod"),
        (("--head", "HEAD"), "--base REVISION"),
        (("--stack", "a", "--stack", "b"), "no stack 'a'"),
    ],
)
def test_what_cannot_be_compared_is_refused(preview: Run, arguments: tuple[str, ...], said: str) -> None:
    done = preview(*arguments)
    assert done.exit_code == 2
    assert said in done.stderr
    assert "Traceback" not in done.output
