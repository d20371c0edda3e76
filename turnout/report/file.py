"""Where a report is kept: a newer page replaces an older one, and nothing else."""

import os
from pathlib import Path

from turnout.report.page import GENERATOR

_HEAD = 2048
"""Bytes of a file in which a report says what it is."""


class NotAReport(Exception):
    """A file that is no rollout's report stands where one is to be written."""


def write(file: Path, text: str) -> None:
    """Puts the page there in one step, so that a reader sees the old one or the new.

    Raises `NotAReport`, OSError."""
    if file.exists() and not _is_report(file):
        raise NotAReport(f"{file} exists and is no rollout's report; remove it, or choose another file with --html")
    temporary = file.with_name(f".{file.name}.new")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, file)


def _is_report(file: Path) -> bool:
    with file.open("rb") as opened:
        return f'content="{GENERATOR}"'.encode() in opened.read(_HEAD)
