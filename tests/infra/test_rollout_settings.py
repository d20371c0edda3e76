"""What a stack's config may say of rollouts beyond the strategies' own tests."""

from pathlib import Path
from typing import Any

import pytest
from stack_config import fault, read


def test_windows_and_freezes_are_read(root: Path) -> None:
    settings = read(root, rollout={"windows": ["Mon-Fri 09:00-16:00 Europe/Berlin"], "freeze": ["2026-12-24"]})
    assert settings.rollout.windows == ("Mon-Fri 09:00-16:00 Europe/Berlin",)
    assert settings.rollout.freeze == ("2026-12-24",)


@pytest.mark.parametrize(
    ("rollout", "line"),
    [
        (
            {"windows": ["09:00-16:00", "Mon-Fry 09:00-16:00"]},
            'turnout:rollout.windows.1 = "Mon-Fry 09:00-16:00": '
            "'Fry' is no day; the days are Mon, Tue, Wed, Thu, Fri, Sat, Sun; "
            'list texts such as "Mon-Fri 09:00-16:00 Europe/Berlin", or none for any time',
        ),
        (
            {"windows": ["09:00-16:00 Berlin"]},
            'turnout:rollout.windows.0 = "09:00-16:00 Berlin": berlin is no time zone; name one such as Europe/Berlin',
        ),
        (
            {"freeze": ["2027-01-02/2026-12-20"]},
            'turnout:rollout.freeze.0 = "2027-01-02/2026-12-20": 2027-01-02/2026-12-20 ends before it begins; ',
        ),
    ],
)
def test_what_cannot_be_read_is_told_with_its_field(root: Path, rollout: dict[str, Any], line: str) -> None:
    assert fault(root, rollout=rollout).startswith(line)
