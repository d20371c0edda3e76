"""Resource hooks: when they run, what they see, what their failure does."""

import pytest

HOOKED = """
import asyncio, pathlib
log = pathlib.Path({log!r})
def note(kind):
    async def hook(args):
        await asyncio.sleep(0)
        sizes = [(inputs or {{}}).get("size") for inputs in (args.new_inputs, args.old_inputs)]
        version = (args.new_outputs or {{}}).get("version")
        with log.open("a") as f:
            f.write(f"{{kind}} {{args.name}} size={{sizes[0]}} old={{sizes[1]}} out={{version}} id={{bool(args.id)}}\\n")
        {body}
    return hook
hooks = pulumi.ResourceHookBinding(
    before_create=[note("bc")], after_create=[note("ac")], before_update=[note("bu")], after_update=[note("au")]
)
Thing("a", size={size}, opts=on(hooks=hooks))
"""


@pytest.fixture
def hooked(bench):
    log = bench.folder / "hooks.log"
    log.write_text("")

    def program(size: int = 1, body: str = "pass") -> str:
        return HOOKED.format(log=str(log), size=size, body=body)

    program.log = log  # type: ignore[attr-defined]
    return program


def test_hooks_see_the_step_they_surround(bench, hooked):
    assert bench.up(hooked()).exit_code == 0
    assert bench.up(hooked()).exit_code == 0
    assert bench.up(hooked(2)).exit_code == 0
    assert hooked.log.read_text().splitlines() == [
        "bc a size=1.0 old=None out=None id=False",
        "ac a size=1.0 old=None out=1.0 id=True",
        "bu a size=2.0 old=1.0 out=None id=True",
        "au a size=2.0 old=1.0 out=2.0 id=True",
    ]


def test_no_hook_runs_in_a_preview(bench, hooked):
    bench.preview(hooked())
    assert hooked.log.read_text() == ""


def test_a_before_hook_that_raises_keeps_the_step_from_happening(bench, hooked):
    bench.up(hooked())
    result = bench.up(hooked(2, "raise ValueError('not now')"))
    assert (result.exit_code, result.errors) == (1, ["not now"])
    assert bench.things()["a"]["inputs"]["size"] == 1
    assert bench.up(hooked(2)).changes["update"] == 1


def test_a_refusal_of_the_switch_has_an_exit_code_of_its_own(bench, hooked):
    result = bench.up(hooked(1, "raise RuntimeError('switch: the standby is not ready')"))
    assert result.exit_code == 3
    assert bench.said() == "switch: the standby is not ready\n"
    assert bench.things() == {}


def test_an_after_hook_that_raises_fails_the_update_and_the_result_is_kept(bench, hooked):
    result = bench.up(hooked(1, "if kind == 'ac': raise ValueError('too late')"))
    assert result.exit_code == 1
    assert set(bench.things()) == {"a"}
    assert bench.up(hooked()).changes == {"same": 3}


def test_delete_hooks_are_refused_by_name(bench):
    body = """
    hook = pulumi.ResourceHook("h", lambda args: None)
    Thing("a", opts=on(hooks=pulumi.ResourceHookBinding(before_delete=[hook])))
    """
    assert bench.up(body).exit_code == 1
    assert "hooks of kind before_delete are not supported" in bench.said()


def test_a_program_that_refuses_its_config_or_the_move_passes_its_exit_code_on(bench):
    assert bench.up("import sys\nsys.exit(2)").exit_code == 2
    refused = bench.up("raise RuntimeError('switch: config and record have both changed')")
    assert refused.exit_code == 3
    assert "switch: config and record" in bench.said("info#err")
