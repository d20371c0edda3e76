"""docs/local-engine.md: every row names a test, and every test that it names exists."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/local-engine.md").read_text()
_NAME = re.compile(r"`(test_\w+…?)`")


def existing() -> set[str]:
    """Every test function under tests/."""
    sources = [path.read_text() for path in (ROOT / "tests").rglob("test_*.py")]
    return {name for source in sources for name in re.findall(r"^(?:async )?def (test_\w+)", source, re.M)}


def unknown(text: str, tests: set[str]) -> list[str]:
    """Names in a text of which there is no test; one that ends in … begins the name of exactly one."""
    wrong = []
    for name in _NAME.findall(text):
        found = [test for test in tests if test.startswith(name[:-1])] if name.endswith("…") else [name] * (name in tests)
        if len(found) != 1:
            wrong.append(name)
    return wrong


def test_every_test_that_the_page_names_exists_and_is_the_only_one() -> None:
    assert unknown(PAGE, existing()) == []


def test_every_row_names_a_test() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.endswith("| test |")]
    assert len(rows) > 35
    assert [row for row in rows if not _NAME.search(row.rsplit(" | ", 1)[1])] == []


def test_a_name_that_is_none_is_seen() -> None:
    assert unknown("`test_a` `test_b…` `test_c…`", {"test_aa", "test_b1", "test_b2", "test_c1"}) == ["test_a", "test_b…"]
