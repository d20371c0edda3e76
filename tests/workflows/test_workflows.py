"""What workflows may do, and that actionlint finds nothing."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.workflows.conftest import WORKFLOWS, steps, workflow

NAMES = sorted(path.stem for path in WORKFLOWS.glob("*.yml"))
SKIPPED = "install Go, and let it reach its modules: actionlint is built from them"
ACTIONLINT = "github.com/rhysd/actionlint/cmd/actionlint@v1.7.7"


def test_the_workflows_are_these() -> None:
    runs = ["ci", "drift", "model", "model-stack", "nightly"]
    changes = ["preview", "preview-account", "preview-comment", "up", "up-stack"]
    assert [*runs, *changes] == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_action_is_pinned_to_a_commit(name: str) -> None:
    text = (WORKFLOWS / f"{name}.yml").read_text()
    used = re.findall(r"uses: (\S+)(.*)", text)
    for action, comment in used:
        if not action.startswith("./"):
            assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", action), action
            assert re.fullmatch(r" # v\d+\.\d+\.\d+", comment), action


@pytest.mark.parametrize("name", NAMES)
def test_rights_are_named_and_expressions_stay_out_of_scripts(name: str) -> None:
    """An expression in a script is text that becomes code: titles and branch names are anybody's."""
    assert workflow(name)["permissions"]
    for step in steps(name):
        assert "${{" not in step.get("run", "")


def test_a_pull_requests_code_gets_no_secret_and_may_write_nothing() -> None:
    for name in ("ci", "preview"):
        found = workflow(name)
        assert "pull_request" in found["on"]
        assert "pull_request_target" not in found["on"]
        assert found["permissions"] == {"contents": "read"}
        assert "secrets." not in (WORKFLOWS / f"{name}.yml").read_text()
        checkout = next(step for step in steps(name) if step.get("uses", "").startswith("actions/checkout@"))
        assert checkout["with"]["persist-credentials"] is False


def test_the_accounts_preview_never_runs_for_a_fork_and_its_code_writes_nothing() -> None:
    """A fork's pull request has another head repository; the job that has a role may write nothing of the repository."""
    found = workflow("preview-account")
    assert found["on"].keys() == {"pull_request"}
    plan, comment = found["jobs"]["plan"], found["jobs"]["comment"]
    assert plan["if"].startswith("github.event.pull_request.head.repo.full_name == github.repository && ")
    assert plan["permissions"] == {"contents": "read", "id-token": "write"}
    assert plan["environment"] == "${{ matrix.stack }}-preview"
    assert (comment["needs"], comment["permissions"]) == ("plan", {"pull-requests": "write"})
    assert "needs.plan.result != 'skipped'" in comment["if"]
    used = [step.get("uses", "").partition("@")[0] for step in comment["steps"]]
    assert used == ["actions/download-artifact", ""], "no checkout: nothing of the pull request runs with the right to write"


def test_the_comment_is_written_by_a_workflow_that_runs_nothing_of_the_pull_request() -> None:
    assert workflow("preview-comment")["on"].keys() == {"workflow_run"}
    assert not [step for step in steps("preview-comment") if step.get("uses", "").startswith("actions/checkout@")]


def test_stacks_go_up_one_after_the_other_each_in_its_environment() -> None:
    jobs = workflow("up")["jobs"]
    assert {name: job.get("needs") for name, job in jobs.items()} == {"dev": None, "staging": "dev", "prod": "staging"}
    assert workflow("up-stack")["jobs"]["stack"]["environment"] == "${{ inputs.stack }}"
    assert workflow("up-stack")["jobs"]["stack"]["concurrency"]["cancel-in-progress"] is False
    assert workflow("up-stack")["permissions"]["id-token"] == "write"


@pytest.mark.skipif(shutil.which("go") is None, reason=SKIPPED)
def test_actionlint_finds_nothing(tmp_path: Path) -> None:
    built = subprocess.run(
        ["go", "install", ACTIONLINT], env={**os.environ, "GOBIN": str(tmp_path)}, capture_output=True, text=True, check=False
    )
    if built.returncode:
        pytest.skip(SKIPPED)
    found = subprocess.run([tmp_path / "actionlint", *WORKFLOWS.glob("*.yml")], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (0, "")
