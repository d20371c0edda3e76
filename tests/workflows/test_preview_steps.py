"""The preview's steps, run as a runner runs them: the plan of a pull request, and its comment."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.preview.conftest import Repository, repository  # noqa: F401 -- a fixture
from tests.preview.plans import planned, step
from tests.preview.test_preview_command import BALANCED
from tests.workflows.conftest import run, script
from turnout.preview.markdown import MARK, MARK_OF_ACCOUNT, comment

GH = """#!/bin/sh
# Says of the API what files say, and notes every call.
echo "$*" >> "$CALLS"
case "$*" in
  *"/pulls --jq"*) cat "$ANSWERS/number" ;;
  *"/comments --jq"*) cat "$ANSWERS/comments" ;;
esac
"""


def command(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


@pytest.fixture
def pull_request(repository: Repository) -> Repository:  # noqa: F811
    """A merge that replaces a target group with requests; the commit before is the base."""
    repository.write("program/__main__.py", BALANCED)
    repository.write("stacks/Pulumi.prod.yaml", "config:\n  shop:port: '8000'\n")
    repository.commit("base")
    repository.replace("stacks/Pulumi.prod.yaml", "8000", "8001")
    repository.commit("merge")
    command(repository.root / ".venv/bin/turnout", f'#!/bin/sh\nexec {sys.executable} -m turnout "$@"\n')
    return repository


@pytest.mark.parametrize(("labels", "code"), [([], 2), (["bug", "allow:blue"], 0), (["allow:green"], 2)])
def test_the_plan_of_a_pull_request_fails_unless_a_label_allows_it(
    pull_request: Repository, labels: list[str], code: int
) -> None:
    base = pull_request.git("rev-parse", "HEAD~1").strip()
    done = run(script("preview", "plan"), pull_request.root, {"BASE": base, "LABELS": json.dumps(labels)})
    assert done.returncode == code, done.stderr
    folder = pull_request.root / "preview"
    assert (folder / "comment.md").read_text().startswith(MARK)
    assert "replace" in (folder / "plan.html").read_text()
    document = json.loads((folder / "plan.json").read_text())
    assert [one["stack"] for one in document["stacks"]] == ["prod"]
    assert bool(document["refused"]) is bool(code)


def written(folder: Path, shims: Path, workflow: str = "preview-comment") -> list[str]:
    """The calls by which the step that comments changes something."""
    command(shims / "gh", GH)
    calls = folder / "calls"
    environ = {"PATH": f"{shims}:/usr/bin:/bin", "CALLS": str(calls), "ANSWERS": str(folder)}
    done = run(script(workflow, "comment"), folder, {**environ, "REPOSITORY": "o/r", "HEAD_SHA": "abc", "NUMBER": "7"})
    assert done.returncode == 0, done.stderr
    lines = calls.read_text().splitlines() if calls.exists() else []
    return [line.removeprefix("api --silent ") for line in lines if "--silent" in line]


@pytest.mark.parametrize(
    ("comment", "there", "wanted"),
    [
        ("text", "", ["--method POST repos/o/r/issues/7/comments -F body=@preview/comment.md"]),
        ("text", "55\n66\n", ["--method PATCH repos/o/r/issues/comments/55 -F body=@preview/comment.md"]),
        ("", "55\n", ["--method DELETE repos/o/r/issues/comments/55"]),
        ("", "", []),
    ],
)
def test_one_comment_is_made_edited_and_taken_away(
    tmp_path: Path, shims: Path, comment: str, there: str, wanted: list[str]
) -> None:
    (tmp_path / "preview").mkdir()
    (tmp_path / "preview/comment.md").write_text(comment)
    (tmp_path / "number").write_text("7\n")
    (tmp_path / "comments").write_text(there)
    assert written(tmp_path, shims) == wanted


def previews(folder: Path, **stacks: str) -> None:
    """The artifacts of an account's previews: a comment for each stack."""
    (folder / "comments").touch()
    for stack, text in stacks.items():
        (folder / f"previews/preview-account-{stack}").mkdir(parents=True)
        (folder / f"previews/preview-account-{stack}/comment.md").write_text(text)


@pytest.mark.parametrize(
    ("stacks", "there", "wanted"),
    [
        ({"dev": "one\n", "prod": "two\n"}, "", ["--method POST repos/o/r/issues/7/comments -F body=@body.md"]),
        ({"dev": "", "prod": "two\n"}, "55\n", ["--method PATCH repos/o/r/issues/comments/55 -F body=@body.md"]),
        ({"dev": "", "prod": ""}, "55\n", ["--method DELETE repos/o/r/issues/comments/55"]),
        ({"dev": "", "prod": ""}, "", []),
        ({}, "55\n", []),
    ],
)
def test_an_account_has_one_comment_for_all_stacks(
    tmp_path: Path, shims: Path, stacks: dict[str, str], there: str, wanted: list[str]
) -> None:
    previews(tmp_path, **stacks)
    (tmp_path / "comments").write_text(there)
    assert written(tmp_path, shims, "preview-account") == wanted
    if stacks:
        assert (tmp_path / "body.md").read_text() == "".join(stacks.values())
        assert MARK_OF_ACCOUNT in (tmp_path / "calls").read_text(), "found again by its own mark"


def test_comments_that_are_too_long_together_lose_their_details(tmp_path: Path, shims: Path) -> None:
    plan = replace(planned(step("update", "x", old={"a": "1"}, new={"a": "2"})), engine="Pulumi")
    text = comment([plan], None, "")
    long = text.replace("1 → 2", "1 → 2\n" * 6000)
    previews(tmp_path, dev=long, prod=long)
    assert len(written(tmp_path, shims, "preview-account")) == 1
    body = (tmp_path / "body.md").read_text()
    assert body.count("1 to update") == 2
    assert "<details>" not in body
    assert "see the job's artifacts" in body


@pytest.mark.parametrize(("labels", "wanted"), [([], ""), (["bug", "allow:blue", "allow:a b"], "--allow blue --allow a b ")])
def test_the_accounts_plan_is_asked_of_its_stack(tmp_path: Path, labels: list[str], wanted: str) -> None:
    command(tmp_path / ".venv/bin/turnout", '#!/bin/sh\necho "$@"\nexit 2\n')
    done = run(script("preview-account", "plan"), tmp_path, {"STACK": "prod", "LABELS": json.dumps(labels)})
    assert done.returncode == 2, "a refusal fails the job"
    asked = (tmp_path / "preview/plan.json").read_text()
    assert asked == f"preview --stack prod {wanted}--comment preview/comment.md --html preview/plan.html --json\n"


@pytest.mark.parametrize("number", ["", None])
def test_without_a_plan_or_an_open_pull_request_nothing_is_written(tmp_path: Path, shims: Path, number: str | None) -> None:
    if number is not None:
        (tmp_path / "preview").mkdir()
        (tmp_path / "preview/comment.md").write_text("text")
        (tmp_path / "number").write_text(number)
    assert written(tmp_path, shims) == []


@pytest.mark.parametrize(
    ("wanted", "code", "said"),
    [("up", 0, "turnout up --stack prod"), ("drift", 0, "pulumi preview --stack prod --expect-no-changes"), ("no", 2, "")],
)
def test_a_stack_goes_up_or_is_compared(tmp_path: Path, wanted: str, code: int, said: str) -> None:
    for name in ("turnout", "pulumi"):
        command(tmp_path / f".venv/bin/{name}", f'#!/bin/sh\necho {name} "$@"\n')
    done = run(script("up-stack", "run"), tmp_path, {"STACK": "prod", "COMMAND": wanted})
    assert done.returncode == code
    assert done.stdout.startswith(said)
