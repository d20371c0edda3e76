"""Pulumi's Automation API on the local engine."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi import automation as auto
from pulumi.automation import errors
from pulumi.automation._cmd import CommandResult

from tests.engine.conftest import PRELUDE
from tests.engine_state.bench import PASSPHRASE, Project

TWO_THINGS = """
thing = Thing("one", size=pulumi.Config().require_int("size"), opts=on())
Thing("two", size=thing.version, opts=on())
pulumi.export("serial", thing.serial)
pulumi.export("password", pulumi.Output.secret("hidden-from-eyes"))
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def code_of(error: errors.CommandError) -> int:
    return int(str(error).split("code: ")[1].split("\n")[0])


def test_a_local_program_goes_through_its_whole_life(project: Project) -> None:
    project.program(TWO_THINGS)
    stack = project.stack()
    stack.set_config("size", auto.ConfigValue("1"))

    assert stack.preview().change_summary == {"create": 4}
    assert not project.cloud.objects()
    made = stack.up(message="first")
    assert (made.summary.kind, made.summary.result, made.summary.message) == ("update", "succeeded", "first")
    assert made.summary.resource_changes == {"create": 4}
    assert made.outputs["serial"].value.startswith("serial-id-")
    assert (made.outputs["password"].value, made.outputs["password"].secret) == ("hidden-from-eyes", True)
    assert "hidden-from-eyes" not in made.stdout

    assert stack.up().summary.resource_changes == {"same": 4}
    stack.set_config("size", auto.ConfigValue("2"))
    changed = stack.up()
    assert "size: 1 => 2" in changed.stdout
    assert stack.refresh().summary.kind == "refresh"
    assert stack.destroy().summary.resource_changes == {"delete": 4}
    assert not project.cloud.objects()
    assert [entry.version for entry in stack.history()] == [5, 4, 3, 2, 1]
    assert [entry.version for entry in stack.history(page_size=2, page=2)] == [3, 2]


def test_an_inline_program_runs_in_this_process(project: Project) -> None:
    def program() -> None:
        names: dict[str, Any] = {}
        exec(PRELUDE, names)
        pulumi.export("serial", names["Thing"]("one", size=1, opts=names["on"]()).serial)

    stack = project.inline(program)
    events: list[auto.EngineEvent] = []

    assert stack.preview().change_summary == {"create": 3}
    assert stack.up(on_event=events.append).outputs["serial"].value.startswith("serial-")
    assert [event.sequence for event in events] == sorted(event.sequence for event in events)
    assert [event.res_outputs_event.metadata.type for event in events if event.res_outputs_event][-1] == "test:index:Thing"
    assert events[-1].cancel_event
    assert stack.destroy().summary.result == "succeeded"


def test_an_exception_of_an_inline_program_is_the_automation_apis_own_error(project: Project) -> None:
    def program() -> None:
        raise ValueError("bad luck")

    with pytest.raises(errors.InlineSourceRuntimeError, match="bad luck"):
        project.inline(program).up()


def test_every_line_is_shown_as_it_comes_under_a_header_that_says_who_it_is(project: Project) -> None:
    lines: list[str] = []
    result = project.stack().up(on_output=lines.append)

    assert lines[0] == "Updating (dev) with the local engine (not Pulumi)"
    assert result.stdout == "\n".join(lines)


def test_an_event_log_may_be_a_file(project: Project) -> None:
    project.stack()
    project.run("up", "--yes", "--stack", "dev", "--event-log", str(project.folder / "events"))

    events = [json.loads(line) for line in (project.folder / "events").read_text().splitlines()]
    assert events[-2]["summaryEvent"]["resourceChanges"] == {"create": 2}
    assert events[-1].keys() == {"sequence", "timestamp", "cancelEvent"}


@pytest.mark.parametrize(("status", "code"), [(2, 2), (3, 3), (1, 1)])
def test_the_programs_exit_code_is_passed_on(status: int, code: int, project: Project) -> None:
    project.program(f"import sys\nprint('ingress: port: 0 is no port', file=sys.stderr)\nsys.exit({status})")

    with pytest.raises(errors.CommandError) as caught:
        project.stack().up()

    assert code_of(caught.value) == code
    assert "ingress: port: 0 is no port" in str(caught.value)
    assert project.stack().history()[0].result == "failed"


def test_a_failed_resource_is_said_on_stderr_with_its_reason(project: Project) -> None:
    project.program('Thing("one", size=-1, opts=on())')
    said: list[str] = []

    with pytest.raises(errors.CommandError) as caught:
        project.stack().up(on_error=said.append)

    assert code_of(caught.value) == 1
    assert any("size: must not be negative" in line for line in said)


def test_stacks_that_are_there_or_not_raise_the_automation_apis_errors(project: Project) -> None:
    project.stack()
    options = project.options({})
    with pytest.raises(errors.StackAlreadyExistsError):
        auto.create_stack("dev", work_dir=str(project.folder), opts=options)
    with pytest.raises(errors.StackNotFoundError):
        auto.select_stack("prod", work_dir=str(project.folder), opts=options)


def test_a_second_update_is_told_that_one_runs(project: Project) -> None:
    waiting, done = threading.Event(), threading.Event()

    def program() -> None:
        waiting.set()
        assert done.wait(60)

    runner = threading.Thread(target=project.inline(program).up)
    runner.start()
    try:
        assert waiting.wait(60)
        with pytest.raises(errors.ConcurrentUpdateError, match=rf"locked by .*\(pid {os.getpid()}\) since"):
            project.stack().up()
        assert project.stack().workspace.list_stacks()[0].update_in_progress
    finally:
        done.set()
        runner.join()
    assert project.stack().up().summary.result == "succeeded"


def test_cancel_stops_an_update_of_another_process(project: Project) -> None:
    project.program(
        """
        import asyncio
        print("running", flush=True)
        pulumi.export("never", Output.from_input(asyncio.sleep(600)))
        """
    )
    script = (
        "import sys; from pathlib import Path; from tests.engine_state.bench import Project\n"
        "from pulumi.automation.errors import CommandError\n"
        "p = Project.__new__(Project); p.folder = Path(sys.argv[1]); p.home = p.folder / 'home'\n"
        "from tests.engine.memory import MemoryCloud; p.cloud = MemoryCloud(p.folder / 'cloud.json')\n"
        "try: p.stack().up(on_output=lambda line: print(line, flush=True))\n"
        "except CommandError as e: print(str(e).split('\\n')[1], flush=True)\n"
    )
    project.stack()
    with subprocess.Popen([sys.executable, "-c", script, str(project.folder)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert any("running" in line for line in process.stdout)
            project.stack().cancel()
            rest = process.communicate(timeout=60)[0]
        finally:
            process.kill()
    assert "code: 130" in rest
    with pytest.raises(errors.CommandError, match="no update of 'dev' is in progress"):
        project.stack().cancel()


def test_state_goes_out_and_comes_back(project: Project) -> None:
    project.program(TWO_THINGS)
    stack = project.stack()
    stack.set_config("size", auto.ConfigValue("1"))
    stack.up()
    exported = stack.export_stack()
    assert exported.deployment is not None
    assert '"plaintext": "\\"hidden-from-eyes\\""' in json.dumps(exported.deployment)

    (project.store_folder / "checkpoint.json").write_text("{")
    with pytest.raises(errors.CommandError, match="checkpoint.json is truncated or damaged"):
        stack.up()
    stack.import_stack(exported)

    assert len(list(project.store_folder.glob("checkpoint.json.damaged-*"))) == 1
    assert stack.up().summary.resource_changes == {"same": 4}
    assert "hidden-from-eyes" not in (project.store_folder / "checkpoint.json").read_text()


def test_the_state_of_another_stack_is_not_imported(project: Project) -> None:
    project.program(TWO_THINGS)
    stack = project.stack()
    stack.set_config("size", auto.ConfigValue("1"))
    stack.up()

    with pytest.raises(errors.CommandError, match="is of another stack: urn:pulumi:dev::shop"):
        project.stack("test").import_stack(stack.export_stack())


def test_a_stack_with_resources_is_removed_by_force_only(project: Project) -> None:
    stack = project.stack()
    stack.set_config("a", auto.ConfigValue("1"))
    stack.up()

    with pytest.raises(errors.CommandError, match="still has resources"):
        stack.workspace.remove_stack("dev")
    stack.workspace.remove_stack("dev", force=True, preserve_config=True)

    assert stack.workspace.list_stacks() == []
    assert (project.folder / "stacks" / "Pulumi.dev.yaml").exists()


@pytest.mark.parametrize(
    ("config", "env", "operation", "code", "message"),
    [
        ("aws", {}, "up", 2, "never changes a real account"),
        ("aws", {}, "destroy", 2, "never changes a real account"),
        ("aws", {}, "refresh", 2, "never changes a real account"),
        ("local", {"TURNOUT_LOCAL_ENDPOINT": "http://ec2.amazonaws.com"}, "up", 2, "not this machine"),
        ("local", {"TURNOUT_LOCAL_ENDPOINT": "http://127.0.0.1.example.com"}, "destroy", 2, "not this machine"),
        ("local", {"TURNOUT_LOCAL_ENDPOINT": "http://127.0.0.1@example.com"}, "up", 2, "not this machine"),
        ("", {"TURNOUT_LOCAL_ENDPOINT": "https://10.0.0.1"}, "refresh", 2, "not this machine"),
        ("local", {}, "up", 4, "turnout local start"),
        ("local", {}, "preview", 4, "turnout local start"),
    ],
)
def test_nothing_beyond_this_machine_is_ever_changed(
    config: str, env: dict[str, str], operation: str, code: int, message: str, project: Project
) -> None:
    if config:
        project.stack().set_config("cloud", auto.ConfigValue(config))
    stack = project.stack(env=env)

    with pytest.raises(errors.CommandError, match=message) as caught:
        getattr(stack, operation)()

    assert code_of(caught.value) == code
    assert stack.history() == []


def test_a_stack_in_aws_is_previewed_without_reading_it(project: Project) -> None:
    (project.folder / "Pulumi.yaml").write_text((project.folder / "Pulumi.yaml").read_text() + "options: {refresh: always}\n")
    project.program("import os\nprint('offline:', os.environ.get('TURNOUT_OFFLINE'))\nThing('one', opts=on())")
    stack = project.stack()
    stack.up()
    objects = project.cloud.objects()
    project.cloud.write({})
    stack.set_config("cloud", auto.ConfigValue("aws"))

    previewed = stack.preview()

    assert "offline: 1" in previewed.stdout
    assert previewed.change_summary == {"same": 3}
    project.cloud.write(objects)


def test_a_program_gets_typed_config_with_the_projects_defaults(project: Project) -> None:
    (project.folder / "Pulumi.yaml").write_text(
        (project.folder / "Pulumi.yaml").read_text()
        + "config:\n  count: {type: integer, default: 3}\n  zones: {type: array}\n  other:region: {value: here}\n"
    )
    project.program(
        """
        config = pulumi.Config()
        print("got", config.require_int("count"), config.require_object("zones"), pulumi.Config("other").require("region"))
        """
    )
    stack = project.stack()
    with pytest.raises(errors.CommandError, match="missing configuration value 'shop:zones'") as caught:
        stack.up()
    assert code_of(caught.value) == 2
    stack.set_config("zones[0]", auto.ConfigValue("a"), path=True)

    assert "got 3 ['a'] here" in stack.up().stdout
    stack.set_config("count", auto.ConfigValue("many"))
    with pytest.raises(errors.CommandError, match="'shop:count' must be of type 'integer'"):
        stack.up()


def test_changes_that_were_not_expected_fail(project: Project) -> None:
    stack = project.stack()

    with pytest.raises(errors.CommandError, match="no changes were expected"):
        stack.up(expect_no_changes=True)
    assert stack.up(expect_no_changes=True).summary.result == "succeeded"


def test_who_and_what_is_asked_for_is_answered(project: Project) -> None:
    stack = project.stack()

    assert stack.workspace.who_am_i().organizations == ["organization"]
    assert project.command.version is not None
    assert project.run("version").stdout == f"v{project.command.version}"
    current = stack.workspace.stack()
    assert current is not None
    assert current.name == "dev"
    assert project.run("up", "--yes").stdout.startswith("Updating (dev)")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["up", "--target", "urn"], "option --target of `up` is not supported by the local engine"),
        (["preview", "--save-plan", "x"], "option --save-plan of `preview`"),
        (["destroy", "--policy-pack=x"], "option --policy-pack of `destroy`"),
        (["up", "--color", "always"], "writes no colours"),
        (["up", "--parallel", "0"], "--parallel must be a whole number"),
        (["up", "extra"], "takes no 'extra'"),
        (["stack", "rename", "x"], "unknown command 'stack rename'"),
        (["config", "refresh"], "unknown command 'config refresh'"),
        (["import"], "unknown command 'import'"),
        (["up", "--message"], "--message of `up` needs a value"),
        (["up", "--stack", "../x"], "no stack|another project|cannot be called"),
    ],
)
def test_what_is_not_understood_is_refused_by_name(args: list[str], message: str, project: Project) -> None:
    project.stack()

    with pytest.raises(errors.CommandError, match=message) as caught:
        project.run(*args)

    assert code_of(caught.value) == 2
    assert list(project.cloud.objects()) == []


def test_a_folder_without_a_project_is_told(tmp_path: Path) -> None:
    command = Project(tmp_path).command
    (tmp_path / "Pulumi.yaml").unlink()

    with pytest.raises(errors.CommandError, match=r"no Pulumi.yaml project file found"):
        command.run(["stack", "ls"], str(tmp_path), PASSPHRASE)


def test_a_failed_command_is_a_result_with_its_output(project: Project) -> None:
    assert isinstance(project.run("stack", "ls", "--json"), CommandResult)
    assert json.loads(project.run("stack", "ls", "--json").stdout) == []
