"""A secret in config, program and resources stands in no file and no line, and goes with its passphrase only."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pulumi import automation as auto
from pulumi.automation import errors

from tests.engine.memory import Thing
from tests.engine_state.bench import Project
from tests.engine_state.conftest import PLANTED
from turnout.engine.command import LocalEngineCommand
from turnout.engine.provider import Fault


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_a_planted_secret_stands_nowhere_in_plain_text(project: Project) -> None:
    project.program(
        f"""
        secret = pulumi.Config().require_secret("password")
        made = pulumi.Output.secret("{PLANTED}-made")
        print("the program prints", "{PLANTED}")
        Thing("one", secret=secret, tags={{"deep": [secret, made]}}, opts=on())
        Thing("broken", secret=secret, tags={{"x": made}}, opts=on())
        pulumi.export("given", secret)
        pulumi.export("nested", {{"inside": made}})
        """
    )
    project.cloud.fail["create:broken"] = f"the cloud repeats {PLANTED} and {PLANTED}-made"
    stack = project.stack()
    stack.set_config("password", auto.ConfigValue(PLANTED, secret=True))
    stack.set_config("nested.password", auto.ConfigValue(PLANTED, secret=True), path=True)
    log, said = project.folder / "events", []
    for _ in range(2):
        with pytest.raises(errors.CommandError) as caught:
            project.run("up", "--yes", "--stack", "dev", "--event-log", str(log))
        said.append(str(caught.value))
    assert "the cloud repeats [secret] and [secret]" in said[0]
    project.cloud.fail.clear()
    said.append(project.run("preview", "--stack", "dev", "--event-log", str(log)).stdout)
    said.append(project.run("up", "--yes", "--stack", "dev", "--event-log", str(log)).stdout)
    for line in ("stack", "stack output", "stack output --json", "stack export", "config", "stack history --json"):
        said.append(project.run(*line.split(" "), "--stack", "dev").stdout)

    leaks = [
        str(path) for path in project.files() if path != project.cloud.path and PLANTED in path.read_text(errors="replace")
    ]
    assert leaks == []
    assert [text for text in said if PLANTED in text] == []
    assert stack.outputs()["given"].value == PLANTED
    assert stack.history()[0].config["shop:password"].value == PLANTED


def test_a_journal_of_a_killed_update_holds_no_secret(project: Project) -> None:
    project.program('Thing("one", secret=pulumi.Config().require_secret("password"), opts=on())')
    stack = project.stack()
    stack.set_config("password", auto.ConfigValue(PLANTED, secret=True))
    script = (
        "import sys; from pathlib import Path; from tests.engine_state.bench import Project\n"
        "p = Project.__new__(Project); p.folder = Path(sys.argv[1]); p.home = p.folder / 'home'\n"
        "from tests.engine.memory import MemoryCloud\n"
        "p.cloud = MemoryCloud(p.folder / 'cloud.json', die_at='create:after:1'); p.stack().up()\n"
    )
    assert subprocess.run([sys.executable, "-c", script, str(project.folder)], check=False).returncode == -9

    journal = (project.store_folder / "journal.jsonl").read_text()
    assert '"begin":"create"' in journal
    assert PLANTED not in journal
    assert stack.up().summary.result == "succeeded"
    assert len(project.cloud.objects()) == 1


def test_a_wrong_passphrase_is_told_without_a_traceback(project: Project) -> None:
    project.stack().set_config("password", auto.ConfigValue(PLANTED, secret=True))

    with pytest.raises(errors.CommandError, match="incorrect passphrase") as caught:
        project.stack(env={"PULUMI_CONFIG_PASSPHRASE": "other"}).get_config("password")

    assert "Traceback" not in str(caught.value)


def test_a_fault_that_repeats_a_secret_of_the_program_is_shown_without_it(project: Project) -> None:
    class Telltale(Thing):
        def check(self, inputs: dict[str, Any]) -> list[Fault]:
            return [Fault("secret", f"{inputs['secret']!r} is too long")]

    project.program(f'Thing("one", secret=pulumi.Output.secret("{PLANTED}"), opts=on())')
    options = project.options({})
    options.pulumi_command = LocalEngineCommand(project.home, {"test:index:Thing": Telltale(project.cloud)})
    stack = auto.create_or_select_stack("dev", work_dir=str(project.folder), opts=options)

    with pytest.raises(errors.CommandError, match=r"secret: '\[secret\]' is too long") as caught:
        stack.preview()

    assert PLANTED not in str(caught.value)
