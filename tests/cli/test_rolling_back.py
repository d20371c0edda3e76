"""`turnout rollback --candidates`: nobody picks by mistake what never held."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from turnout_components.switch_record import SwitchRecord, Traffic
from typer.testing import Result

from tests.cli.conftest import NEW, OLD, Deployed

BEGAN = datetime(2026, 1, 2, 3, tzinfo=UTC)
BAD = "digits-3.0.0@sha256:" + "3" * 64


def served(record: SwitchRecord) -> SwitchRecord:
    """The old release for six hours, another for half a minute until it was taken back, the old one again, and now the new."""
    times = (
        (0, "flip", "blue", OLD),
        (6 * 3600, "promote", "green", BAD),
        (6 * 3600 + 30, "rollback", "blue", OLD),
        (7 * 3600, "flip", "green", NEW),
    )
    entries = record.history[:0]
    for seconds, kind, active, release in times:
        traffic = Traffic.all_to(active, ("blue", "green"))
        states = {**record.environments, active: record.environments[active].model_copy(update={"release": release})}
        moved = record.changed(environments=states, traffic=traffic).noted(BEGAN + timedelta(seconds=seconds), "ann", kind)
        entries = (*entries, moved.history[-1])
    return record.changed(history=entries)


def test_candidates_say_how_long_they_served_and_what_never_held(turnout: Callable[..., Result], deployed: Deployed) -> None:
    deployed.store.update(served)
    shown = turnout("rollback", "--candidates").output
    lines = [[part.strip() for part in line.strip("│").split("│")] for line in shown.splitlines() if "digits-" in line]
    assert lines == [
        ["digits-1.0.0", "7 hours", "2026-01-02 10:00", "blue", ""],
        ["digits-3.0.0", "30 s", "2026-01-02 09:00", "– (is deployed first)", "! taken back each time"],
    ]
    told = json.loads(turnout("rollback", "--candidates", "--json").output)
    assert [(each["release"], each["served"], each["taken_back"]) for each in told] == [(OLD, 25170, False), (BAD, 30, True)]
