"""`turnout demo`: the story on the screen, and its report."""

import json
from pathlib import Path

from turnout.cli.errors import CommandFailed, Exit
from turnout.cli.session import Session, screen
from turnout.demo.models import MODELS
from turnout.demo.run import run
from turnout.demo.story import DemoFailed
from turnout.demo.traffic import TrafficError
from turnout.demo.view import summary


def demo(report: Path, name: str) -> None:
    """Runs the demo with the model of that name and writes the report. Raises `CommandFailed` when requests were lost."""
    if name not in MODELS:
        raise CommandFailed(Exit.REFUSED, f"there is no demo with the model {name!r}; choose one of: {', '.join(MODELS)}")
    model = MODELS[name]
    session = Session(model.stack)
    out = screen()
    try:
        told = run(model, session.stack, session.home, out.console)
    except (DemoFailed, TrafficError) as error:
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
