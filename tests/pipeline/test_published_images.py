"""`turnout releases build` and `publish` with a real registry: the manifest gets the digest that the registry has."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml
from turnout_components.release import ReleaseError, parse
from typer.testing import Result

from tests.layout_rules import ROOT
from tests.pipeline.conftest import Make
from turnout import releasing
from turnout.pipeline.registry import digest_at

STACK = {
    "turnout:service": "m",
    "turnout:cloud": "local",
    "turnout:region": "us-east-1",
    "turnout:releases": "published",
    "turnout:environments": {"blue": {"release": None}},
    "turnout:traffic": {"active": "blue"},
}


Run = Callable[..., "subprocess.CompletedProcess[str]"]


def project(folder: Path, crane: str) -> Run:
    """A project in a folder: runs `turnout releases …` there."""
    (folder / "Pulumi.yaml").write_text("name: turnout\nruntime: python\n")
    (folder / "Pulumi.local.yaml").write_text(yaml.safe_dump({"config": STACK}))
    environ = {**os.environ, "PATH": f"{Path(crane).parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}

    def turnout(*words: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "turnout", "releases", *words]
        return subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False)

    return turnout


def test_a_release_is_built_and_published_by_digest_and_again_without_a_push(
    make: Make, crane: str, registry: str, tmp_path: Path
) -> None:
    folder = make()
    turnout = project(tmp_path, crane)
    manifest = str(folder.manifest.relative_to(tmp_path))
    built = turnout("build", manifest, "--base", "scratch", "--builder", "crane", "--json")
    assert built.returncode == 0, built.stderr
    made = json.loads(built.stdout)
    assert (made["builder"], Path(made["layout"]).parent) == ("crane", tmp_path / ".turnout/images")
    (tmp_path / "mine").mkdir()
    refused = turnout("build", manifest, "--base", "scratch", "--builder", "crane", "--out", "mine")
    assert (refused.returncode, "is there and no image layout" in refused.stderr) == (2, True)

    words = ("publish", manifest, "--repository", f"{registry}/models/m", "--base", "scratch", "--builder", "crane")
    first = turnout(*words)
    assert first.returncode == 0, first.stderr
    image = f"{registry}/models/m@{made['digest']}"
    assert f"{image}: pushed" in first.stdout
    assert digest_at(crane, image, {}) == made["digest"]
    release = parse(tmp_path / "published/m-1.yaml")
    assert (release.image, release.model.uri) == (image, "file:model.txt")
    again = json.loads(turnout(*words, "--json").stdout)
    assert (again["id"], again["image"], again["pushed"]) == (release.id, image, False)
    assert "rollout start --release m-1 --stack local" in first.stdout


def test_two_that_publish_at_once_publish_the_same(make: Make, crane: str, registry: str, tmp_path: Path) -> None:
    manifest = str(make().manifest)
    turnout = project(tmp_path, crane)
    words = ("publish", manifest, "--repository", f"{registry}/models/m", "--base", "scratch", "--builder", "crane", "--json")
    with ThreadPoolExecutor(2) as both:
        done = list(both.map(lambda _: turnout(*words), range(2)))
    assert [each.returncode for each in done] == [0, 0], [each.stderr for each in done]
    assert json.loads(done[0].stdout)["id"] == json.loads(done[1].stdout)["id"]
    assert [path.name for path in (tmp_path / "published").iterdir()] == ["m-1.yaml"]


def test_a_name_that_is_none_or_taken_is_refused_before_anything_is_built(
    make: Make, crane: str, within: Callable[..., Result], tmp_path: Path
) -> None:
    manifest = str(make().manifest)
    project(tmp_path, crane)
    before = sorted(tmp_path.rglob("*"))
    words = ("releases", "publish", manifest, "--repository", "127.0.0.1:1/models/m", "--base", "scratch")
    for name in ("../m-1", "m 1", "m@1", "."):
        refused = within(tmp_path, *words, "--as", name)
        assert refused.exit_code == 2
        assert "is no release's name: write letters" in refused.stderr
    assert sorted(tmp_path.rglob("*")) == before
    other = make("fails")
    (tmp_path / "published").mkdir()
    text = other.manifest.read_text()
    (tmp_path / "published/m-2.yaml").write_text(text)
    image = "127.0.0.1:1/models/m@sha256:" + 64 * "a"
    (tmp_path / "published/m-3.yaml").write_text(text.replace(other.release.image, image))
    make()
    for name, said in (("m-2", "m-2.yaml is there and names others"), ("m-3", "m-3.yaml is another release")):
        refused = within(tmp_path, *words, "--as", name)
        assert (refused.exit_code, said in refused.stderr) == (2, True), refused.stderr
        assert "built by" not in refused.stdout


def test_of_two_manifests_that_get_one_name_at_once_the_first_stays(make: Make, tmp_path: Path) -> None:
    release, path = make().release, tmp_path / "m-1.yaml"
    assert releasing.add(path, release)
    assert not releasing.add(path, release)
    before = path.read_bytes()
    with pytest.raises(ReleaseError, match="is another release"):
        releasing.add(path, release.model_copy(update={"prompt_version": "2"}))
    assert path.read_bytes() == before
    assert list(tmp_path.glob(".m-1*")) == []
