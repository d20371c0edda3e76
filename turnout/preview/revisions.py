"""Revisions of a project: their files, taken from git without touching the working tree or the repository."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory


class RevisionError(Exception):
    """A revision that cannot be had; the message says why and what to do."""


@dataclass(frozen=True)
class Revision:
    """A project's files of one revision. `commit` is None for the working tree as it is."""

    name: str
    commit: str | None
    root: Path
    """The folder of Pulumi.yaml."""
    top: Path
    """The repository's folder."""

    def path_entries(self, of: Path) -> list[str]:
        """Python's search path for programs of this revision: what lies in the repository `of` is taken from here."""
        inside = [Path(entry).resolve() for entry in sys.path if entry and Path(entry).resolve().is_relative_to(of)]
        places = [self.top / entry.relative_to(of) for entry in inside if "site-packages" not in entry.parts]
        return [str(place) for place in dict.fromkeys([self.root, *places]) if place.is_dir()]


@contextmanager
def revision(root: Path, name: str | None) -> Iterator[Revision]:
    """The project at `root` as `name` (a branch, tag or commit) has it; None: as the files are now.

    Raises `RevisionError`."""
    top = Path(_git(root, "rev-parse", "--show-toplevel").strip())
    if name is None:
        yield Revision("the working tree", None, root, top)
        return
    commit = _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}").strip()
    inner = root.resolve().relative_to(top.resolve())
    with TemporaryDirectory(prefix="turnout-revision-") as folder:
        files = Path(folder, "files")
        _checked_out(top, commit, files, Path(folder, "index"))
        found = files / inner
        if not (found / "Pulumi.yaml").is_file():
            raise RevisionError(f"{name} ({commit[:12]}) has no {inner / 'Pulumi.yaml'}: it holds no project to compare with")
        yield Revision(name, commit, found, files)


def _checked_out(top: Path, commit: str, files: Path, index: Path) -> None:
    """All of a commit's files, by an index of their own. Not by `git archive`, which leaves out what `export-ignore` says and
    whatever lies beside the folder that it is run in."""
    own = {"GIT_INDEX_FILE": str(index)}
    _git(top, "read-tree", "--no-sparse-checkout", commit, env=own)
    _git(top, "checkout-index", "--all", f"--prefix={files}/", env=own)


def _git(root: Path, *arguments: str, env: Mapping[str, str] | None = None) -> str:
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", **(env or {})}
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, check=True, env=environment)
    except FileNotFoundError:
        raise RevisionError("there is no `git` on the PATH: install it") from None
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip()
        wanted = arguments[-1].removesuffix("^{commit}")
        why = said or f"{wanted} is no revision of this repository; fetch it first (a shallow clone lacks most)"
        raise RevisionError(f"git {arguments[0]}: {why}") from None
    return done.stdout.decode()
