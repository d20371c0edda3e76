"""A release in a folder of its own: its model, its server's code, its manifest."""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from turnout_components.release import Release, parse
from typer.testing import CliRunner, Result

from tests.layout_rules import ROOT
from turnout.cli import app
from turnout.cloud import images
from turnout.pipeline.builders import CRANE, served

SERVER = (ROOT / "tests/pipeline/strange_server.py").read_text()
PROVENANCE = {"git_commit": "c0ffee" + 34 * "0", "training_data": "poems 2026-10", "seed": 0}
SMOKE: dict[str, Any] = {
    "path": "/v1/echo",
    "limits": {"load": "5s", "memory": "100MiB", "request": "1s"},
    "cases": [
        {"body": {"upper": True}, "expect": {"text": "A MODEL"}},
        {"body": {"upper": False}, "expect": {"text": "a model", "score": {"$near": 0.9, "$within": 0.05}}},
    ],
}


@dataclass(frozen=True)
class Folder:
    """The folder of a server, with `releases/m-1.yaml` in it."""

    path: Path

    @property
    def manifest(self) -> Path:
        return self.path / "releases/m-1.yaml"

    @property
    def release(self) -> Release:
        return parse(self.manifest)

    @property
    def image(self) -> images.Image:
        return images.read(self.path)


Make = Callable[..., Folder]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Writes the folder: the server's fault, the model's bytes and name, and what the manifest says otherwise."""

    def made(
        mode: str = "ok", content: bytes = b"a model", name: str = "model.txt", sha256: str = "", **manifest: Any
    ) -> Folder:
        folder = tmp_path / "strange"
        (folder / "releases").mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
        (folder / "server.py").write_text(SERVER)
        (folder / "image.toml").write_text('name = "m"\nfiles = ["server.py"]\ncommand = ["{python}", "{image}/server.py"]\n')
        (folder / "smoke.yaml").write_text(yaml.safe_dump(SMOKE))
        found = "sha256:" + (sha256 or hashlib.sha256(content).hexdigest())
        text = {
            "model": {"name": "m", "version": "1", "uri": f"file:{name}", "sha256": found, **manifest.pop("model", {})},
            "image": images.read(folder).reference,
            "engine": {"name": "none", "flags": [f"--{mode}"]},
            "provenance": PROVENANCE,
            **manifest,
        }
        (folder / "releases/m-1.yaml").write_text(yaml.safe_dump(text))
        return Folder(folder)

    return made


@pytest.fixture
def within(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Runs `turnout …` in a folder and in this process."""

    def run(folder: Path, *words: str) -> Result:
        monkeypatch.chdir(folder)
        return CliRunner().invoke(app, list(words))

    return run


NO_CRANE = "install crane, or Go and let it reach its modules: crane is built from them"


@pytest.fixture(scope="session")
def crane(request: pytest.FixtureRequest) -> str:
    """crane: the machine's own, or built once and kept in pytest's cache."""
    found = shutil.which("crane")
    if found is not None:
        return found
    if shutil.which("go") is None:
        pytest.skip(NO_CRANE)
    folder = request.config.cache.mkdir("crane-" + CRANE.rpartition("@")[2])  # type: ignore[union-attr]
    if not (folder / "crane").exists():
        built = subprocess.run(["go", "install", CRANE], env={**os.environ, "GOBIN": str(folder)}, check=False)
        if built.returncode:
            pytest.skip(NO_CRANE)
    return str(folder / "crane")


@pytest.fixture
def registry(crane: str) -> Iterator[str]:
    """A real registry on loopback, empty."""
    with served(crane) as address:
        yield address
