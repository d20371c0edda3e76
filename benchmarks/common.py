"""What every benchmark shares: a table for people and `--json FILE` for machines."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

Row = dict[str, Any]
_FILE_WIDTH = 120


def parser(module: str, purpose: str) -> argparse.ArgumentParser:
    """Arguments of `python -m benchmarks.<module>`, with `--json FILE`."""
    made = argparse.ArgumentParser(prog=f"python -m benchmarks.{module}", description=purpose)
    made.add_argument("--json", type=Path, metavar="FILE", help="write the figures here too")
    return made


def show(title: str, rows: Sequence[Row], note: str = "", json_file: Path | None = None, **more: Any) -> None:
    """Print `rows` (all with the first one's keys) as a table; write them to `json_file` with `more` beside them."""
    table = Table(title=title, caption=note or None)
    for i, column in enumerate(rows[0]):
        table.add_column(column, justify="left" if i == 0 else "right", no_wrap=i == 0)
    for row in rows:
        table.add_row(*("–" if value is None else str(value) for value in row.values()))
    console = Console()
    console.width = console.width if console.is_terminal else _FILE_WIDTH
    console.print(table)
    if json_file is not None:
        json_file.write_text(json.dumps({"title": title, "rows": list(rows), **more}, indent=1) + "\n")
