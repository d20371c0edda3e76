"""A smoke test's command: what it is told, and what its end means."""

from datetime import timedelta
from pathlib import Path

import pytest

from turnout.rollout.actions import RunSmokeTest
from turnout.rollout.smoke import run

SECOND = timedelta(seconds=1)


def smoke(command: str, folder: Path, timeout: timedelta = 20 * SECOND) -> str:
    return run(RunSmokeTest(command, timeout), "green", "http://127.0.0.1:8081", folder)


def test_it_is_told_where_and_whom_to_ask(tmp_path: Path) -> None:
    command = """python -c 'import os,sys; sys.exit(sys.argv[1:] != [os.environ["URL"], "green"])' $URL $ENVIRONMENT"""
    assert smoke(command, tmp_path) == ""


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("python -c 'import sys; sys.exit(\"3 of 100 wrong\")'", "ended with 1: 3 of 100 wrong"),
        ("no-such-program", "cannot be run: No such file"),
    ],
)
def test_a_failure_is_told_in_its_own_words(command: str, said: str, tmp_path: Path) -> None:
    assert said in smoke(command, tmp_path)


def test_one_that_hangs_is_ended(tmp_path: Path) -> None:
    assert "did not end within 1 s" in smoke("python -c 'import time; time.sleep(60)'", tmp_path, SECOND)
