"""`turnout demo`: the story on the screen, and its report."""

import json
from pathlib import Path

from turnout.cli.errors import CommandFailed, Exit
from turnout.cli.session import Session, screen
from turnout.cluster import binaries
from turnout.demo.front import FrontFailed
from turnout.demo.models import MODELS
from turnout.demo.run import run
from turnout.demo.story import DemoFailed
from turnout.demo.traffic import TrafficError
from turnout.demo.view import summary
from turnout.stacks import EC2, EKS, KUBERNETES

PLATFORMS = (EC2, EKS, KUBERNETES)


def demo(report: Path, name: str, platform: str) -> None:
    """Runs the demo with the model of that name on that platform and writes the report. Raises `CommandFailed` when requests
    were lost."""
    if name not in MODELS:
        raise CommandFailed(Exit.REFUSED, f"there is no demo with the model {name!r}; choose one of: {', '.join(MODELS)}")
    model = MODELS[name]
    if platform not in PLATFORMS or (platform != EC2 and name != "digits"):
        raise CommandFailed(
            Exit.REFUSED,
            f"there is no demo of {name} on platform {platform!r}; write digits, on one of: {', '.join(PLATFORMS)}",
        )
    if platform != EC2:
        try:
            binaries.find()
        except binaries.NoBinariesError as error:
            raise CommandFailed(Exit.REFUSED, str(error)) from None
    session = Session(model.stack_on(platform))
    out = screen()
    try:
        told = run(model, session.stack, session.home, out.console)
    except (DemoFailed, FrontFailed, TrafficError) as error:
        raise CommandFailed(Exit.FAILED, f"{error}\nlogs: {session.home / 'demo'}") from error
    except KeyboardInterrupt:
        raise CommandFailed(Exit.INTERRUPTED, "interrupted; everything that the demo had started is ended") from None
    document = told.model_dump(mode="json")
    report.write_text(json.dumps(document, indent=2) + "\n")
    out.show(summary(told))
    out.line(f"report: {report}")
    if told.problem:
        raise CommandFailed(Exit.FAILED, told.problem)
    out.result(document)
