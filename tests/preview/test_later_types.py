"""A preview of a merge starts its programs before it imports what only their steps need."""

import subprocess
import sys
from dataclasses import dataclass, field
from typing import cast

from turnout.engine.program import Order, Running, Say
from turnout.preview.later_types import LaterTypes
from turnout.providers import registry

ORDER = Order("", "", "proj", "dev", "organization", "/", {}, [], 1, True)
LATE = ("boto3", "grpc", "pulumi", "pydantic", "rich")


@dataclass
class Known:
    """Notes whether the types were known when it was started."""

    types: LaterTypes
    at_start: list[bool] = field(default_factory=list)

    def start(self, order: Order, say: Say) -> Running:  # noqa: ARG002
        self.at_start.append("_types" in vars(self.types))
        return cast(Running, self)


def test_the_types_are_the_engines_own() -> None:
    types, known = LaterTypes(), registry()

    assert dict(types) == dict(known)
    assert len(types) == len(known)
    assert types["kubernetes:core/v1:Service"].token == "kubernetes:core/v1:Service"
    assert "aws:ec2/nothing:Nothing" not in types


def test_they_are_not_imported_before_the_program_has_started() -> None:
    types = LaterTypes()
    program = Known(types)

    running = types.after(program).start(ORDER, lambda _severity, _line: None)

    assert program.at_start == [False]
    assert cast(object, running) is program
    assert "aws:ec2/vpc:Vpc" in types


def test_a_programs_process_starts_before_the_engine_is_imported() -> None:
    code = f"import sys, turnout.preview.rehearsal; print([name for name in {LATE} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
