"""A report as a browser shows it: drawn in full, light and dark, and without a word on the console."""

import shutil
import struct
import subprocess
import zlib
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
import report_worlds as worlds

from turnout.report.page import page
from turnout.rollout.status import RolloutStatus

CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="install chromium")
Colour = tuple[int, int, int]
LIGHT, DARK = (255, 255, 255), (0x14, 0x17, 0x1B)
ACTIVE, CANDIDATE = (0, 0x67, 0xA5), (0xC2, 0x4A, 0)


def shown(page_file: Path, width: int, height: int, *options: str) -> tuple[list[list[Colour]], str]:
    """The page's pixels, and what Chromium has said."""
    picture = page_file.with_suffix(".png")
    command = [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--enable-logging=stderr"]
    command += ["--virtual-time-budget=2000", f"--user-data-dir={page_file.parent / 'profile'}", *options]
    command += [f"--screenshot={picture}", f"--window-size={width},{height}", page_file.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=True)
    return pixels(picture.read_bytes()), done.stderr


def pixels(png: bytes) -> list[list[Colour]]:
    """The rows of a picture with eight bits for each of red, green and blue (PNG, Third Edition: 5, 9)."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    at, data, header = 8, b"", b""
    while at < len(png):
        length, kind = struct.unpack(">I4s", png[at : at + 8])
        body = png[at + 8 : at + 8 + length]
        header, data = (body if kind == b"IHDR" else header), data + (body if kind == b"IDAT" else b"")
        at += length + 12
    width, height, depth, colours, *_, interlaced = struct.unpack(">IIBBBBB", header)
    assert (depth, interlaced) == (8, 0)
    size = {2: 3, 6: 4}[colours]
    raw, before, rows = zlib.decompress(data), bytearray(width * size), []
    for number in range(height):
        start = number * (width * size + 1)
        before = unfiltered(raw[start], bytearray(raw[start + 1 : start + 1 + width * size]), before, size)
        rows.append([(before[x], before[x + 1], before[x + 2]) for x in range(0, width * size, size)])
    return rows


def unfiltered(kind: int, line: bytearray, above: bytearray, size: int) -> bytearray:
    """A row without its filter."""
    for index in range(len(line)):
        left, corner = (line[index - size], above[index - size]) if index >= size else (0, 0)
        up = above[index]
        match kind:
            case 1:
                line[index] = (line[index] + left) & 255
            case 2:
                line[index] = (line[index] + up) & 255
            case 3:
                line[index] = (line[index] + (left + up) // 2) & 255
            case 4:
                guess = left + up - corner
                nearest = min((left, up, corner), key=lambda each: abs(guess - each))
                line[index] = (line[index] + nearest) & 255
    return line


@pytest.fixture
def report(tmp_path: Path) -> Callable[[RolloutStatus], Path]:
    def written(status: RolloutStatus) -> Path:
        file = tmp_path / "report.html"
        file.write_text(page(status, "digits/prod", status.began + timedelta(hours=1)), encoding="utf-8")
        return file

    return written


def test_the_page_is_drawn_and_the_console_is_silent(report: Callable[[RolloutStatus], Path]) -> None:
    rows, said = shown(report(worlds.taken_back()), 1280, 1800)
    assert "CONSOLE" not in said
    assert (len(rows[0]), len(rows)) == (1280, 1800)
    seen = Counter(colour for row in rows for colour in row)
    assert seen.most_common(1)[0][0] == LIGHT
    assert len(seen) > 100
    assert seen[ACTIVE] > 300, "the active side's line"
    assert seen[CANDIDATE] > 300, "the candidate's line"


@pytest.mark.slow  # the test above opens the page
def test_in_the_dark_the_page_is_dark(report: Callable[[RolloutStatus], Path]) -> None:
    rows, said = shown(report(worlds.with_a_gap()), 1280, 900, "--blink-settings=preferredColorScheme=0")
    assert "CONSOLE" not in said
    seen = Counter(colour for row in rows for colour in row)
    assert seen.most_common(1)[0][0] == DARK
    assert seen[LIGHT] == 0


@pytest.mark.slow  # the first test opens the page
def test_a_narrow_page_is_not_cut_off(report: Callable[[RolloutStatus], Path]) -> None:
    """Nothing but charts and tables, which scroll by themselves, reaches the window's edge."""
    rows, _ = shown(report(worlds.taken_back()), 500, 900)
    head = rows[:600]
    assert {colour for row in head for colour in row[-8:]} == {LIGHT}
    assert len({colour for row in head for colour in row}) > 20


def test_what_chromium_says_of_a_bad_page_would_be_seen(tmp_path: Path) -> None:
    file = tmp_path / "bad.html"
    file.write_text("<script>console.error('broken')</script>")
    assert "CONSOLE" in shown(file, 600, 300)[1]
