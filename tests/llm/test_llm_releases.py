"""The example's releases: manifests that fit their content, a stack that names one, and models as good as the README says."""

import asyncio
import hashlib
import itertools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from turnout_components import release

from examples.llm import releases
from examples.llm.load.asks import questions
from examples.llm.load.generator import Users
from examples.manifests import release_ids
from tests.llm.conftest import ROOT, Server

LLM = releases.FOLDER


def test_the_committed_manifests_are_what_the_command_would_write() -> None:
    committed = {path.stem: path.read_text() for path in (LLM / "releases").glob("*.yaml")}
    assert committed == releases.manifests(), "run: python -m examples.llm.releases"


def test_every_manifest_loads_by_its_id_and_names_the_wheels_model_by_its_hash() -> None:
    ids = release_ids(releases.manifests())
    assert len({i.partition("@")[2] for i in ids.values()}) == 3
    for name, release_id in ids.items():
        loaded = release.load(LLM / "releases", release_id)
        with releases.model().open("rb") as content:
            assert loaded.model.sha256 == "sha256:" + hashlib.file_digest(content, "sha256").hexdigest(), name


def test_the_stack_starts_with_the_first_release() -> None:
    config = yaml.safe_load((ROOT / "stacks" / "Pulumi.llm.yaml").read_text())["config"]
    assert config["turnout:environments"]["blue"]["release"] == release_ids(releases.manifests())["smol-1.0.0"]


@pytest.mark.parametrize("file", ["engine.py", "drain.py", "metrics.py", "mirrored.py", "server.py", "prompts/2.jinja"])
def test_a_changed_server_or_prompt_is_another_image(tmp_path: Path, file: str) -> None:
    for path in (path for path in LLM.rglob("*") if path.suffix in (".py", ".toml", ".jinja")):
        copy = tmp_path / path.relative_to(LLM)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    assert releases.manifests(tmp_path) == releases.manifests()
    (tmp_path / file).write_text("changed")
    assert not set(releases.manifests(tmp_path).values()) & set(releases.manifests().values())


async def judged(url: str) -> dict[str, Any]:
    users = Users(url, itertools.chain(questions()), users=1)
    await users.run()
    return users.result()


@pytest.mark.slow
def test_the_releases_are_as_good_as_the_readme_says(serve: Callable[..., Server]) -> None:
    """Greedy sampling; yet another processor adds in another order, so that a question or two may differ."""
    readme = (LLM / "README.md").read_text()
    found = {}
    for name in releases.VARIANTS:
        row = re.search(rf"^\| {re.escape(name)} \|.*\| ([\d.]+) % \|", readme, re.MULTILINE)
        assert row is not None, name
        result = asyncio.run(judged(serve(name).url))
        (found[name],) = result["releases"].values()
        assert found[name]["accuracy"] == pytest.approx(float(row[1]) / 100, abs=0.11), name
    assert found["smol-2.0.0"]["accuracy"] > found["smol-1.0.0"]["accuracy"]
    assert found["smol-3.0.0-bad"]["lost"] == sum(len(one.text) > 40 for one in questions()) > 0
