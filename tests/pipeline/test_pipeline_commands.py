"""`turnout releases validate` as an operator meets it: what it prints, its exit code, its JSON."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from typer.testing import Result

from benchmarks.waiting import wait_for
from tests.layout_rules import ROOT
from tests.pipeline.conftest import Make


def turnout(*arguments: str, cwd: Path = ROOT) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "turnout", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def test_no_command_waits_for_imports_of_the_local_cloud() -> None:
    code = "import sys, turnout.cli.pipeline; print({'moto', 'pulumi'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True) == "set()\n"


def test_the_example_is_valid_by_its_name() -> None:
    done = turnout("releases", "validate", "digits-4.0.0-wrong")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines[1:-1]] == ["ok"] * 6
    assert "24 of 30 right" in lines[-2]
    assert lines[-1] == "digits-4.0.0-wrong is valid"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_language_model_is_loaded_and_asked() -> None:
    """The slow twin, with 98 MB of weights: 3.0.0-bad has a template that the model does not know."""
    for name, code, said in (("smol-2.0.0", 0, "3 of 3 right"), ("smol-3.0.0-bad", 2, "0 of 3 right")):
        done = turnout("releases", "validate", f"examples/llm/releases/{name}.yaml")
        assert (done.returncode, said in done.stdout) == (code, True), done.stdout
        assert "gguf; the manifest does not say" in done.stdout


def test_a_manifest_is_named_by_its_path_and_what_is_broken_ends_with_2(make: Make, within: Callable[..., Result]) -> None:
    folder = make("exits")
    done = within(ROOT, "releases", "validate", str(folder.manifest))
    assert done.exit_code == 2
    assert "refused  load" in done.stdout
    assert "no such layer: block.7" in done.stdout
    assert done.stderr == "error: m-1 is not valid: load; nothing was published\n"
    found = within(ROOT, "releases", "validate", str(folder.manifest), "--json")
    assert found.exit_code == 2
    assert json.loads(found.stdout)["checks"][-1]["passed"] is False


def test_what_cannot_be_begun_says_what_to_do(make: Make, within: Callable[..., Result], tmp_path: Path) -> None:
    folder = make()
    text = folder.manifest.read_text()
    elsewhere = text.replace(folder.image.reference, f"registry.example/m@sha256:{64 * '0'}")
    for content, option, said in (
        (elsewhere, (), "cannot be started here; say --server FOLDER"),
        (text.replace(folder.image.digest, "sha256:" + 64 * "1"), (), "rebuild the release's manifest"),
        (text, ("--smoke", str(tmp_path / "none.yaml")), "no smoke set"),
        (text.replace("file:model.txt", "ftp://host/model"), (), "only s3://, file: and package: URIs"),
    ):
        folder.manifest.write_text(content)
        done = within(ROOT, "releases", "validate", str(folder.manifest), *option)
        assert (done.exit_code, said in done.stderr) == (2, True), done.stderr
    other = text.replace(folder.image.digest, "sha256:" + 64 * "1")
    folder.manifest.write_text(other)
    done = within(ROOT, "releases", "validate", str(folder.manifest), "--server", str(folder.path))
    assert (done.exit_code, "make the manifest again" in done.stderr) == (2, True)
    folder.manifest.write_text(elsewhere)
    assert within(ROOT, "releases", "validate", str(folder.manifest), "--server", str(folder.path)).exit_code == 0


def test_a_server_ends_with_the_command_that_is_killed(make: Make) -> None:
    folder = make("hangs")
    command = [sys.executable, "-m", "turnout", "releases", "validate", str(folder.manifest)]
    killed = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    server = str(folder.path / "server.py")

    def serving() -> bool:
        return any(server in (one.info["cmdline"] or ()) for one in psutil.process_iter(["cmdline"]))

    try:
        wait_for("the server", serving)
    finally:
        killed.kill()
        killed.wait()
    wait_for("the server's end", lambda: not serving())
