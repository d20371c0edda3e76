"""The workflows as data, and their shell steps as a runner runs them."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.layout_rules import ROOT

WORKFLOWS = ROOT / ".github/workflows"


def workflow(name: str) -> dict[str, Any]:
    """A workflow; `on` is a word of YAML 1.1 for true."""
    found: dict[Any, Any] = yaml.safe_load((WORKFLOWS / f"{name}.yml").read_text(encoding="utf-8"))
    return {"on": found.pop(True, None), **found}


def steps(name: str) -> list[dict[str, Any]]:
    """All steps of all jobs."""
    return [step for job in workflow(name)["jobs"].values() for step in job.get("steps", ())]


def script(name: str, step: str) -> str:
    """What a step of that name runs."""
    return next(str(each["run"]) for each in steps(name) if each.get("name") == step)


def run(text: str, cwd: Path, environ: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    """As GitHub's runner runs a step: `bash -e`, with the step's environment."""
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", text],
        cwd=cwd,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def shims(tmp_path: Path) -> Path:
    """A folder for commands that stand in for those of a runner; it goes first on the PATH."""
    folder = tmp_path / "shims"
    folder.mkdir()
    return folder
