"""`turnout releases create` and `verify`."""

# ruff: noqa: ARG001 -- fixtures are named to be had, not always to be used

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from turnout_components.release import parse
from typer.testing import Result

Turnout = Callable[..., Result]
IMAGE = "vllm/vllm-openai@sha256:" + "a" * 64


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "weights"
    folder.mkdir()
    (folder / "a.safetensors").write_bytes(b"first")
    (folder / "b.safetensors").write_bytes(b"second")
    return folder


def options(model: Path, name: str = "assistant-1.0.0") -> list[str]:
    named = ["--model-name=assistant", "--model-version=1.0.0", "--engine=vllm", f"--image={IMAGE}"]
    return ["releases", "create", name, str(model), "--uri=s3://models/assistant/1.0.0", *named]


def test_a_release_is_made_with_everything_it_came_from(turnout: Turnout, project: Path, model: Path) -> None:
    scores = project / "scores.json"
    scores.write_text('{"accuracy": 0.93, "set": "heldout-2026-09"}')
    for command in (["init", "-q"], ["add", "-A"], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x"]):
        subprocess.run(["git", *command], cwd=project, check=True)
    origin = ["--seed=7", "--training-data=support-2026-09", f"--evaluation={scores}", "--flag=--max-model-len=8192"]
    result = turnout(*options(model), *origin, "--env=VLLM_HTTP_TIMEOUT_KEEP_ALIVE=135", "--json")
    assert result.exit_code == 0, result.output
    release = parse(project / "releases/assistant-1.0.0.yaml")
    assert json.loads(result.stdout) == {
        "id": release.id,
        "manifest": str(project / "releases/assistant-1.0.0.yaml"),
        "model": release.model.sha256,
        "files": 2,
        "uploaded": False,
    }
    assert release.model.uri == "s3://models/assistant/1.0.0/"
    assert release.engine.flags == ("--max-model-len=8192",)
    assert release.engine.env == {"VLLM_HTTP_TIMEOUT_KEEP_ALIVE": "135"}
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=project, check=True, capture_output=True, text=True).stdout.strip()
    assert release.provenance.model_dump() == {
        "git_commit": head,
        "training_data": "support-2026-09",
        "seed": 7,
        "evaluation": {"accuracy": 0.93, "set": "heldout-2026-09"},
    }


def test_a_commit_of_changed_files_says_so(turnout: Turnout, project: Path, model: Path) -> None:
    for command in (["init", "-q"], ["add", "-A"], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x"]):
        subprocess.run(["git", *command], cwd=project, check=True)
    (project / "Pulumi.yaml").write_text((project / "Pulumi.yaml").read_text() + "# changed\n")
    result = turnout(*options(model))
    assert result.exit_code == 0, result.output
    assert str(parse(project / "releases/assistant-1.0.0.yaml").provenance.git_commit).endswith("+dirty")


def test_the_same_content_is_the_same_release_and_another_is_refused(turnout: Turnout, project: Path, model: Path) -> None:
    assert turnout(*options(model)).exit_code == 0
    before = (project / "releases/assistant-1.0.0.yaml").read_bytes()
    assert turnout(*options(model)).exit_code == 0
    (model / "a.safetensors").write_bytes(b"other")
    result = turnout(*options(model))
    assert result.exit_code == 2
    assert "releases are immutable" in result.output
    assert (project / "releases/assistant-1.0.0.yaml").read_bytes() == before


def test_what_is_not_given_comes_from_another_release(turnout: Turnout, project: Path, model: Path) -> None:
    assert turnout(*options(model), "--seed=7").exit_code == 0
    (model / "a.safetensors").write_bytes(b"better")
    uri = "--uri=s3://models/assistant/1.1.0/"
    result = turnout(
        "releases", "create", "assistant-1.1.0", str(model), "--like=assistant-1.0.0", uri, "--model-version=1.1.0"
    )
    assert result.exit_code == 0, result.output
    old, new = (parse(project / f"releases/assistant-1.{minor}.0.yaml") for minor in (0, 1))
    assert (new.image, new.engine, new.model.name) == (old.image, old.engine, "assistant")
    assert new.model.sha256 != old.model.sha256
    assert new.provenance.seed is None


def test_every_missing_field_is_told_with_its_option(turnout: Turnout, project: Path, model: Path) -> None:
    result = turnout("releases", "create", "assistant-1.0.0", str(model), "--image=vllm:latest")
    assert result.exit_code == 2
    for said in ("--uri s3://<bucket>/<prefix>/", "--image <image>@sha256:", "--model-version", "--engine"):
        assert said in result.output
    assert not list((project / "releases").iterdir())


def test_an_image_may_be_the_folder_that_it_is_made_of(turnout: Turnout, project: Path, model: Path) -> None:
    (project / "server").mkdir()
    (project / "server/server.py").write_text("print()")
    (project / "server/image.toml").write_text('name = "m"\nfiles = ["server.py"]\ncommand = ["{python}"]\n')
    assert turnout(*options(model), f"--image={project / 'server'}").exit_code == 0
    first = parse(project / "releases/assistant-1.0.0.yaml").image
    assert first.startswith("local/m@sha256:")
    (project / "server/server.py").write_text("print(1)")
    assert turnout(*options(model, "assistant-1.0.1"), f"--image={project / 'server'}").exit_code == 0
    assert parse(project / "releases/assistant-1.0.1.yaml").image != first
    (project / "server/server.py").unlink()
    assert turnout(*options(model, "assistant-1.0.2"), f"--image={project / 'server'}").exit_code == 2


def test_an_evaluation_that_is_none_is_refused(turnout: Turnout, project: Path, model: Path) -> None:
    (project / "scores.json").write_text("[1, 2]")
    result = turnout(*options(model), f"--evaluation={project / 'scores.json'}")
    assert result.exit_code == 2
    assert "write one object of scores" in result.output


def test_uploaded_files_verify_and_tampered_ones_do_not(
    turnout: Turnout, project: Path, model: Path, aws: Callable[[str], Any]
) -> None:
    s3 = aws("s3")
    s3.create_bucket(Bucket="models")
    assert turnout(*options(model), "--upload").exit_code == 0
    assert turnout("releases", "verify", "assistant-1.0.0").exit_code == 0
    s3.put_object(Bucket="models", Key="assistant/1.0.0/b.safetensors", Body=b"tampered")
    result = turnout("releases", "verify", "assistant-1.0.0", "--json")
    assert result.exit_code == 2
    message = json.loads(result.stdout)["error"]["message"]
    assert "s3://models/assistant/1.0.0/b.safetensors has sha256:" in message


def test_without_a_name_the_releases_of_the_stack_are_verified(
    turnout: Turnout, project: Path, model: Path, aws: Callable[[str], Any]
) -> None:
    aws("s3").create_bucket(Bucket="models")
    made = json.loads(turnout(*options(model), "--upload", "--json").stdout)
    path = project / "stacks/Pulumi.local.yaml"
    stack = yaml.safe_load(path.read_text())
    stack["config"]["turnout:environments"] = {"blue": {"release": made["id"]}, "green": {"release": None}}
    path.write_text(yaml.safe_dump(stack))
    assert json.loads(turnout("releases", "verify", "--json").stdout) == {"verified": [made["id"]], "whole": True}


def test_only_s3_takes_an_upload(turnout: Turnout, project: Path, model: Path, aws: Callable[[str], Any]) -> None:
    result = turnout(*options(model), "--uri=file:weights/", "--upload")
    assert result.exit_code == 2
    assert "is no s3:// URI" in result.output
