"""A node's part of the mirror: takes up what its group's parameter says. On the node, which has Python 3.9.

In the mirror's folder are Envoy's files as `mirror.files` makes them, `asked`: the parameter's text that was taken up last, and
while something is to be copied `wanted`: the same text. A parameter that is no mirror asks for none. Each file is replaced by a
rename, `asked` last: who is killed in between begins anew.
"""

import json
import os
import sys
from pathlib import Path

from turnout_components.fault import refuse
from turnout_components.mirror import Mirror, faults, files

NONE = Mirror(0, ())


def read(text: str) -> Mirror:
    """The mirror that a parameter's text asks for; no text asks for none.

    Raises `ValueError` for what is no mirror."""
    if not text:
        return NONE
    try:
        mirror = Mirror.from_storage(json.loads(text))
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"is no mirror: {error!r}; write it with MirrorSetting") from None
    refuse(faults(mirror))
    return mirror


def take_up(folder: Path, text: str) -> str:
    """Makes the folder say what the text says, if it does not. The line that says so, or nothing."""
    asked = folder / "asked"
    if (asked.read_text() if asked.exists() else "") == text:
        return ""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        mirror, said = read(text), "is taken up" if text else "is gone: nothing is copied"
    except ValueError as error:
        mirror, said = NONE, f"is refused, nothing is copied: {error}"
    for name, content in files(mirror, _version(folder) + 1).items():
        _replace(folder / name, content)
    if mirror.share > 0 and mirror.targets:
        _replace(folder / "wanted", text)
    else:
        (folder / "wanted").unlink(missing_ok=True)
    _replace(asked, text)
    return said


def _version(folder: Path) -> int:
    """Of the files that stand; 0 where there are none."""
    try:
        return int(json.loads((folder / "rds.json").read_text())["version_info"])
    except (OSError, KeyError, ValueError):
        return 0


def _replace(path: Path, text: str) -> None:
    new = path.with_name(f".{path.name}")
    new.write_text(text)
    os.replace(new, path)


if __name__ == "__main__":
    if line := take_up(Path(sys.argv[1]), sys.stdin.read().strip()):
        print(f"turnout: the mirror's parameter {line}", file=sys.stderr)
