"""`turnout releases publish`: model, image and manifest put where nodes find them; what is there already is left alone."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from turnout_components.artifact import ArtifactError
from turnout_components.release import parse
from typer.testing import Result

from turnout.cloud import images
from turnout.pipeline.publish import put_model

Turnout = Callable[..., Result]


def draft(project: Path, uri: str = "file:weights.gguf", content: bytes = b"GGUF weights", **manifest: Any) -> Path:
    """A model's folder with one release, which no stack has."""
    folder = project / "model"
    (folder / "releases").mkdir(parents=True, exist_ok=True)
    (folder / "weights.gguf").write_bytes(content)
    (folder / "server.py").write_text("print()")
    (folder / "image.toml").write_text('name = "m"\nfiles = ["server.py"]\ncommand = ["{python}", "{image}/server.py"]\n')
    text = {
        "model": {"name": "m", "version": "1", "uri": uri, "sha256": "sha256:" + hashlib.sha256(content).hexdigest()},
        "image": images.read(folder).reference,
        "engine": {"name": "none"},
        "provenance": {"git_commit": "c0ffee", "training_data": "x", "seed": 1},
        **manifest,
    }
    path = folder / "releases/m-1.yaml"
    path.write_text(yaml.safe_dump(text))
    return path


def keys(s3: Any) -> list[str]:
    return [one["Key"] for one in s3.list_objects_v2(Bucket="models").get("Contents", [])]


@pytest.fixture
def s3(aws: Callable[[str], Any]) -> Any:
    client = aws("s3")
    client.create_bucket(Bucket="models")
    return client


def test_a_model_goes_below_its_hash_once_and_the_manifest_names_it(turnout: Turnout, project: Path, s3: Any) -> None:
    path = draft(project)
    words = ("releases", "publish", str(path), "--bucket", "models", "--json")
    done = turnout(*words)
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    release = parse(project / "releases/m-1.yaml")
    hexed = hashlib.sha256(b"GGUF weights").hexdigest()
    assert keys(s3) == [f"m/{hexed}/weights.gguf"]
    assert (release.model.uri, release.model.size, release.model.format) == (f"s3://models/{keys(s3)[0]}", 12, "gguf")
    assert release.provenance == parse(path).provenance
    assert (found["id"], found["uploaded"], found["pushed"]) == (release.id, True, False)
    written = (project / "releases/m-1.yaml").stat().st_mtime_ns
    again = json.loads(turnout(*words).stdout)
    assert (again["id"], again["uploaded"]) == (release.id, False)
    assert (project / "releases/m-1.yaml").stat().st_mtime_ns == written
    told = [line.rpartition(": ")[2] for line in turnout(*words[:-1]).stdout.splitlines()]
    assert told[:3] == ["was there", "left as it is", "was there"]


def test_a_model_in_s3_is_copied_to_where_nodes_may_read_it(turnout: Turnout, project: Path, s3: Any) -> None:
    aws_made = b"GGUF trained"
    s3.create_bucket(Bucket="training")
    s3.put_object(Bucket="training", Key="runs/7/model.gguf", Body=aws_made)
    path = draft(project, uri="s3://training/runs/7/model.gguf", content=aws_made)
    assert turnout("releases", "publish", str(path), "--bucket", "models", "--as", "m-1-published").exit_code == 0
    (key,) = keys(s3)
    assert key.endswith("/model.gguf")
    assert s3.get_object(Bucket="models", Key=key)["Body"].read() == aws_made
    assert parse(project / "releases/m-1-published.yaml").model.uri == f"s3://models/{key}"


def test_a_folder_goes_with_its_sums_last(turnout: Turnout, project: Path, s3: Any) -> None:
    path = draft(project)
    weights = project / "model/weights"
    weights.mkdir()
    for name in ("a", "b"):
        (weights / f"{name}.gguf").write_bytes(b"GGUF" + name.encode())
    lines = "".join(f"{hashlib.sha256((weights / n).read_bytes()).hexdigest()}  {n}\n" for n in ("a.gguf", "b.gguf"))
    (weights / "SHA256SUMS").write_text(lines)
    content = yaml.safe_load(path.read_text())
    content["model"] |= {"uri": "file:weights/", "sha256": "sha256:" + hashlib.sha256(lines.encode()).hexdigest()}
    path.write_text(yaml.safe_dump(content))
    done = turnout("releases", "publish", str(path), "--bucket", "models")
    assert done.exit_code == 0, done.output
    assert [key.rpartition("/")[2] for key in keys(s3)] == ["SHA256SUMS", "a.gguf", "b.gguf"]
    release = parse(project / "releases/m-1.yaml")
    assert release.model.uri.endswith("/")
    assert turnout("releases", "verify", "m-1").exit_code == 0


def test_what_is_not_the_model_is_never_published(turnout: Turnout, project: Path, s3: Any) -> None:
    path = draft(project)
    (project / "model/weights.gguf").write_bytes(b"GGUF tampered")
    done = turnout("releases", "publish", str(path), "--bucket", "models")
    assert done.exit_code == 2
    assert "weights.gguf has sha256:" in done.output
    assert keys(s3) == []
    assert not list((project / "releases").iterdir())


def test_what_changed_since_it_was_fetched_is_never_uploaded(project: Path, s3: Any) -> None:
    path = draft(project)
    (project / "model/weights.gguf").write_bytes(b"GGUF tampered")
    with pytest.raises(ArtifactError, match="nothing was published"):
        put_model(s3, parse(path), project / "model/weights.gguf", "models", lambda uri: None)
    assert keys(s3) == []


def test_something_else_under_the_hash_is_told_and_left(turnout: Turnout, project: Path, s3: Any) -> None:
    path = draft(project)
    key = f"m/{hashlib.sha256(b'GGUF weights').hexdigest()}/weights.gguf"
    s3.put_object(Bucket="models", Key=key, Body=b"something else")
    done = turnout("releases", "publish", str(path), "--bucket", "models")
    assert done.exit_code == 2
    assert "is something else: delete it, and see who put it" in done.output
    assert s3.get_object(Bucket="models", Key=key)["Body"].read() == b"something else"


def test_a_bucket_that_is_not_there_is_named(turnout: Turnout, project: Path, s3: Any) -> None:  # noqa: ARG001 -- the account
    done = turnout("releases", "publish", str(draft(project)), "--bucket", "nowhere")
    assert done.exit_code == 2
    assert "is there a bucket nowhere" in done.output


def test_a_name_is_never_given_twice(turnout: Turnout, project: Path, s3: Any) -> None:  # noqa: ARG001 -- the account
    assert turnout("releases", "publish", str(draft(project)), "--bucket", "models").exit_code == 0
    path = draft(project, content=b"GGUF others")
    done = turnout("releases", "publish", str(path), "--bucket", "models")
    assert done.exit_code == 2
    assert "releases are immutable: choose another name" in done.output


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ((), "cannot read file:weights.gguf: say --bucket NAME"),
        (("--bucket", "models"), "say --repository HOST/NAME"),
        (("--bucket", "models", "--repository", "registry.example/m"), "nothing says which image has what the server needs"),
    ],
)
def test_nodes_in_aws_get_nothing_that_is_only_here(
    turnout: Turnout, project: Path, monkeypatch: pytest.MonkeyPatch, more: tuple[str, ...], said: str
) -> None:
    monkeypatch.setattr("turnout.access.Access._make", lambda *_: pytest.fail("a client was made"))
    done = turnout("releases", "publish", str(draft(project)), "--stack", "prod", *more)
    assert done.exit_code == 2
    assert said in done.output.replace("\n", " ")
