"""Revisions of a project: their files, taken from git without touching the working tree or the repository."""

import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
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
        packed = _run(root, "archive", "--format=tar", commit)
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            archive.extractall(folder, filter="data")
        found = Path(folder) / inner
        if not (found / "Pulumi.yaml").is_file():
            raise RevisionError(f"{name} ({commit[:12]}) has no {inner / 'Pulumi.yaml'}: it holds no project to compare with")
        yield Revision(name, commit, found, Path(folder))


def _git(root: Path, *arguments: str) -> str:
    return _run(root, *arguments).decode()


def _run(root: Path, *arguments: str) -> bytes:
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, check=True, env=environment)
    except FileNotFoundError:
        raise RevisionError("there is no `git` on the PATH: install it") from None
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip()
        wanted = arguments[-1].removesuffix("^{commit}")
        why = said or f"{wanted} is no revision of this repository; fetch it first (a shallow clone lacks most)"
        raise RevisionError(f"git {arguments[0]}: {why}") from None
    return done.stdout
