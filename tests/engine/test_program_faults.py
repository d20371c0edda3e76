"""A program that cannot be run to its end: one message with its own frames only, a code that is not 0, a state that holds."""

import textwrap
from pathlib import Path

import pytest
from pulumi.automation.errors import CommandError

from tests.engine_state.bench import Project

SOUND = 'a = Thing("a", size=1, opts=on())\nThing("b", tags={"a": a.serial}, opts=on())'
FAULTS = {
    "raises": (
        """
        def outer():
            inner()
        def inner():
            raise ValueError("no idea")
        outer()
        """,
        r"program failed at program/__main__.py:\d+: ValueError: no idea\n\s+program/__main__.py:\d+ in <module>: outer\(\)\n"
        r"\s+program/__main__.py:\d+ in outer: inner\(\)\n\s+program/__main__.py:\d+ in inner: raise ValueError",
    ),
    "raises in an apply": (
        'Thing("c", tags={"x": a.serial.apply(lambda serial: {}[serial])}, opts=on())',
        r"program failed at program/__main__.py:\d+: KeyError: 'serial-id-",
    ),
    "raises in the apply of an export": (
        'pulumi.export("x", a.serial.apply(lambda serial: 1 / 0))',
        r"program failed at program/__main__.py:\d+: ZeroDivisionError: division by zero",
    ),
    "mistypes an input's name": (
        'Thing("c", sise=1, opts=on())',
        r"error: c: sise: is not supported by the local engine for test:index:Thing; did you mean size\?",
    ),
    "mistypes an argument's name": (
        'import pulumi_aws as aws\naws.cloudwatch.LogGroup("x", retention=7)',
        r"program failed at program/__main__.py:\d+: TypeError: .*unexpected keyword argument 'retention'",
    ),
    "gives a wrong value": ('Thing("c", size=-1, opts=on())', r"error: c: size: must not be negative"),
    "names an unknown type": (
        'Thing("c", token="test:index:Thin", opts=on())',
        r"error: c: resource type test:index:Thin is not supported by the local engine",
    ),
    "names an unknown provider": (
        'Thing("c", token="random:index/randomId:RandomId", opts=on())',
        r"resource type random:index/randomId:RandomId is not supported by the local engine",
    ),
    "has no provider": ('Thing("c")', r"no explicit provider: give the resource \(or its parent component\) a provider"),
    "calls an unknown function": (
        'pulumi.runtime.invoke("aws:ec2/getAmi:getAmi", {})',
        r"error: function aws:ec2/getAmi:getAmi is not supported by the local engine",
    ),
    "imports what is not there": ("import nowhere", r"failed at program/__main__.py:\d+: ModuleNotFoundError: .*nowhere"),
    "is no Python": ("def (:", r"program failed at program/__main__.py:\d+: SyntaxError: invalid syntax"),
    "ends itself": ('import sys\nsys.exit("out of luck")', r"error: the program ended: out of luck"),
    "says a novel": ('raise ValueError("x\\n" * 5000)', r"… 4980 lines more"),
    "dies": ("import os\nos._exit(7)", r"error: up failed \(exit code 7\)"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_program_that_fails_is_told_in_a_screen_and_its_state_is_taken_up(fault: str, tmp_path: Path) -> None:
    body, message = FAULTS[fault]
    project = Project(tmp_path)
    project.program(SOUND)
    project.stack().up()
    before = project.cloud.objects()
    project.program(f"{SOUND}\n{textwrap.dedent(body)}")

    with pytest.raises(CommandError, match=message) as caught:
        project.stack().up()

    said = str(caught.value)
    assert "Traceback" not in said
    assert "turnout/engine" not in said
    assert "site-packages" not in said
    assert len(said.splitlines()) <= 45
    assert project.cloud.objects() == before
    project.program(SOUND)
    assert project.stack().up().summary.resource_changes == {"same": 4}
