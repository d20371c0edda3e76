"""Compares the tests that a run skipped (`pytest -rs`) with the committed list; a test that is skipped unnoticed is a lie.

Usage: compare_skips.py KNOWN REPORT. Exit 1 when a skip is not in KNOWN; entries of KNOWN that ran are only named.
"""

import re
import sys
from pathlib import Path

_SKIP = re.compile(r"^SKIPPED \[\d+\] (?P<place>[^:]+)(?::\d+)?: (?P<reason>.*)$")


def main(known_file: str, report_file: str) -> int:
    known = {line.strip() for line in Path(known_file).read_text().splitlines() if line.strip() and line[0] != "#"}
    matches = (_SKIP.match(line) for line in Path(report_file).read_text().splitlines())
    skipped = {f"{m['place']}: {m['reason']}" for m in matches if m}
    for line in sorted(known - skipped):
        print(f"known skip ran here: {line}")
    for line in sorted(skipped - known):
        print(f"skipped and not in {known_file}: {line}", file=sys.stderr)
    return 1 if skipped - known else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
