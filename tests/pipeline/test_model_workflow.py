"""The model's workflow: its shell steps run as a runner runs them, and who has which rights."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.layout_rules import ROOT
from tests.pipeline.conftest import Make
from tests.workflows.conftest import run, script, steps, workflow

TURNOUT = """#!/bin/sh
# Says what a file says and ends as one says, and notes every call.
echo "$*" >> "$FOLDER/calls"
case "$*" in
  *publish*) cp "$FOLDER/draft.yaml" stacks/releases/m-1.yaml ;;
  *report*) exit 0 ;;
esac
cat "$FOLDER/says"
exit "$(cat "$FOLDER/code")"
"""
GH = """#!/bin/sh
echo "$*" >> "$FOLDER/gh"
case "$*" in
  *"pr list"*) cat "$FOLDER/open" ;;
esac
"""


class Runner:
    """A checkout with stand-ins for commands, and the files that a runner gives its steps."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.root = folder, folder / "checkout"
        (self.root / ".venv/bin").mkdir(parents=True)
        (self.root / "stacks/releases").mkdir(parents=True)
        self.command("turnout", TURNOUT)
        (self.root / ".venv/bin/python").symlink_to(sys.executable)
        self.says("", 0)

    def command(self, name: str, text: str) -> None:
        path = self.root / ".venv/bin" / name
        path.write_text(text)
        path.chmod(0o755)

    def says(self, text: str, code: int) -> None:
        (self.folder / "says").write_text(text)
        (self.folder / "code").write_text(str(code))

    def step(self, name: str, step: str, **environ: str) -> int:
        files = {"GITHUB_OUTPUT": self.folder / "output", "GITHUB_STEP_SUMMARY": self.folder / "summary"}
        given = {**environ, "FOLDER": str(self.folder), **{key: str(path) for key, path in files.items()}}
        done = run(script(name, step), self.root, given)
        print(done.stdout, done.stderr)
        return done.returncode

    def read(self, name: str) -> str:
        path = self.folder / name
        return path.read_text() if path.exists() else ""

    def git(self, *arguments: str) -> str:
        command = ["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments]
        return subprocess.run(command, cwd=self.root, check=True, capture_output=True, text=True).stdout.strip()

    def commit(self, *paths: str) -> str:
        """Writes the files anew and commits them."""
        for path in paths:
            (self.root / path).parent.mkdir(parents=True, exist_ok=True)
            (self.root / path).write_text("x")
        self.git("add", "-A")
        self.git("commit", "-qm", "x", "--allow-empty")
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    return Runner(tmp_path)


def test_the_release_of_a_push_is_found_and_two_are_refused(runner: Runner) -> None:
    runner.git("init", "-q")
    base = runner.commit("README.md", "models/m/releases/m-1.yaml")
    other = runner.commit("models/m/server.py", "stacks/releases/m-1.yaml")
    assert runner.step("model", "find", GIVEN="", BEFORE=base) == 0
    assert runner.read("output") == "release=\n"
    (runner.folder / "output").unlink()
    runner.commit("models/m/releases/m-2.yaml")
    assert runner.step("model", "find", GIVEN="", BEFORE=other) == 0
    assert runner.read("output") == "release=models/m/releases/m-2.yaml\n"
    runner.commit("models/n/releases/n-1.yaml")
    assert runner.step("model", "find", GIVEN="", BEFORE=other) == 2
    assert runner.step("model", "find", GIVEN="", BEFORE=40 * "1") != 0
    (runner.folder / "output").unlink()
    assert runner.step("model", "find", GIVEN="models/n/releases/n-1.yaml", BEFORE="") == 0
    assert runner.read("output") == "release=models/n/releases/n-1.yaml\n"


def test_what_is_not_valid_ends_the_job_and_says_so(runner: Runner, make: Make) -> None:
    """With the real command, on a server that cannot load its model."""
    runner.command("turnout", f'#!/bin/sh\ncd {ROOT}\nexec {sys.executable} -m turnout "$@"\n')
    assert runner.step("model", "validate", RELEASE=str(make("exits").manifest)) == 2
    summary = runner.read("summary")
    assert "not valid, nothing was published" in summary
    assert "refused  load" in summary
    assert "no such layer: block.7" in summary
    (runner.folder / "summary").unlink()
    assert runner.step("model", "validate", RELEASE=str(make().manifest)) == 0
    assert ": valid\n" in runner.read("summary")


def test_a_release_is_published_with_the_environments_variables(runner: Runner) -> None:
    (runner.folder / "draft.yaml").write_text("model: {}\n")
    runner.says(json.dumps({"name": "m-1", "manifest": "stacks/releases/m-1.yaml"}), 0)
    given = {"RELEASE": "models/m/releases/m-1.yaml", "BUCKET": "b", "REPOSITORY": "r/m", "BASE": "p@sha256:5"}
    assert runner.step("model", "publish", **given) == 0
    assert runner.read("calls").split() == [
        *("releases", "publish", given["RELEASE"], "--stack", "staging"),
        *("--bucket", "b", "--repository", "r/m", "--base", "p@sha256:5", "--json"),
    ]
    assert runner.read("output") == "name=m-1\n"
    assert (runner.root / "manifest/m-1.yaml").read_text() == "model: {}\n"
    runner.says("", 2)
    assert runner.step("model", "publish", **given) == 2


@pytest.mark.parametrize(
    ("code", "said", "report", "ended"),
    [
        (0, "rollout m-1-x has begun\npromoted: green\n", True, "promoted"),
        (5, "rollout m-1-x has begun\nerror: taken back: quality\n", True, "taken back: all traffic is where it was"),
        (3, "error: blue keeps m-0 for rollback\n", False, "refused: no traffic was moved"),
        (2, "error: no manifest\n", False, "refused: no traffic was moved"),
        (1, "rollout m-1-x has begun\nerror: AWS\n", True, "failed with 1; see `turnout rollout status --stack prod`"),
    ],
)
def test_a_rollout_ends_the_job_as_it_ended_and_the_summary_says_how(
    runner: Runner, code: int, said: str, report: bool, ended: str
) -> None:
    runner.says(said, code)
    assert runner.step("model-stack", "roll out", STACK="prod", RELEASE="m-1") == code
    calls = runner.read("calls").splitlines()
    assert calls[0] == "rollout start --release m-1 --stack prod"
    assert calls[1:] == (["rollout report --stack prod --html report/prod.html"] if report else [])
    head, *lines = runner.read("summary").splitlines()
    assert head.startswith(f"### m-1 in prod: {ended}")
    assert lines == ["```", *said.splitlines(), "```"]


def test_a_cancelled_job_takes_its_rollout_back(runner: Runner) -> None:
    assert runner.step("model-stack", "take back", STACK="prod") == 0
    assert runner.read("calls") == "rollout abort --stack prod --reason its job was cancelled\n"
    (step,) = (one for one in steps("model-stack") if one.get("name") == "take back")
    assert step["if"] == "cancelled()"


def test_what_serves_is_proposed_once(runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    subprocess.run(["git", "init", "-q", "--bare", str(runner.folder / "origin")], check=True)
    runner.git("init", "-q", "-b", "main")
    runner.git("remote", "add", "origin", str(runner.folder / "origin"))
    (runner.root / ".gitignore").write_text(".venv\nchanged\n")
    main = runner.commit("stacks/Pulumi.staging.yaml", "stacks/Pulumi.prod.yaml", "stacks/releases/m-0.yaml")
    for path, text in (("manifest/m-1.yaml", "m"), ("stack-staging/Pulumi.staging.yaml", "green"), ("report-prod/x.html", "")):
        (runner.root / "changed" / path).parent.mkdir(parents=True)
        (runner.root / "changed" / path).write_text(text)
    runner.command("gh", GH)
    monkeypatch.setenv("PATH", f"{runner.root / '.venv/bin'}:/usr/local/bin:/usr/bin:/bin")
    (runner.folder / "open").write_text("")
    assert runner.step("model", "propose", RELEASE="m-1", GH_TOKEN="t") == 0
    assert runner.git("diff", "--name-only", main, "origin/release/m-1").split() == [
        "stacks/Pulumi.staging.yaml",
        "stacks/releases/m-1.yaml",
    ]
    assert [line.partition(" --")[0] for line in runner.read("gh").splitlines()] == ["auth setup-git", "pr list", "pr create"]
    runner.git("switch", "-q", "main")
    runner.git("branch", "-q", "-D", "release/m-1")
    (runner.folder / "open").write_text("7\n")
    assert runner.step("model", "propose", RELEASE="m-1", GH_TOKEN="t") == 0
    assert runner.read("gh").count("pr create") == 1


def test_each_job_has_the_rights_that_it_needs_and_no_more() -> None:
    jobs: dict[str, Any] = workflow("model")["jobs"]
    assert workflow("model")["permissions"] == {"contents": "read"}
    rights = {name: job.get("permissions") for name, job in jobs.items()}
    oidc = {"contents": "read", "id-token": "write"}
    writes = {"contents": "write", "pull-requests": "write"}
    assert rights == {"validate": None, "publish": oidc, "staging": oidc, "prod": oidc, "propose": writes}
    assert "secrets" not in json.dumps(jobs["validate"])
    assert not [
        step for step in jobs["propose"]["steps"] if "setup" in json.dumps(step.get("run", "")).replace("setup-git", "")
    ]


def test_releases_go_one_after_the_other_through_staging_to_prod_and_never_beside_an_up() -> None:
    found = workflow("model")
    assert found["concurrency"] == {"group": "model", "cancel-in-progress": False}
    needs = {name: job.get("needs") for name, job in found["jobs"].items()}
    assert needs == {
        "validate": None,
        "publish": "validate",
        "staging": "publish",
        "prod": ["publish", "staging"],
        "propose": ["publish", "staging", "prod"],
    }
    job = workflow("model-stack")["jobs"]["rollout"]
    assert job["environment"] == "${{ inputs.stack }}"
    assert job["concurrency"] == workflow("up-stack")["jobs"]["stack"]["concurrency"]
    assert [found["jobs"][stack]["with"]["stack"] for stack in ("staging", "prod")] == ["staging", "prod"]
