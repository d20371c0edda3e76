"""Where the programs of the control plane and the custom resources are."""

import os
import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from turnout.cluster.versions import PROGRAMS, GoPart, key

BUILD = "make kubernetes"


class NoBinariesError(RuntimeError):
    """The machine has no control plane; the message says how to get one."""


@dataclass(frozen=True)
class Binaries:
    """A folder with the programs, and one with a folder of CustomResourceDefinitions for each module."""

    programs: Path
    crds: Path

    def path(self, program: str) -> Path:
        """The executable `program`, one of `PROGRAMS`."""
        return self.programs / program


def cache(environ: Mapping[str, str] = os.environ) -> Path:
    """The folder of all builds: `$XDG_CACHE_HOME/turnout/kubernetes`, in ~/.cache where that is not set."""
    return Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "turnout" / "kubernetes"


def built(environ: Mapping[str, str] = os.environ) -> Binaries:
    """Where the build of these versions stands, or would."""
    folder = cache(environ) / key()
    return Binaries(folder / "bin", folder / "crds")


def optional(part: GoPart, environ: Mapping[str, str] = os.environ) -> Path:
    """The folder with the programs of one of `OPTIONAL_PARTS`; it is there when the part was built."""
    return cache(environ) / f"{part.folder}-{part.version}-{sys.platform}-{platform.machine()}"


def find(environ: Mapping[str, str] = os.environ) -> Binaries:
    """The folder that KUBEBUILDER_ASSETS names, where it holds all programs (the variable is controller-runtime's, whose
    downloads lack most of them), else the cache. Definitions are in `crds` beside the programs, else in the cache.

    Raises `NoBinariesError`, which names what is missing, where."""
    place = built(environ)
    found = [Binaries(Path(given), _crds(Path(given), place)) for given in [environ.get("KUBEBUILDER_ASSETS")] if given]
    lacks = []
    for candidate in [*found, place]:
        missing = [program for program in PROGRAMS if not os.access(candidate.path(program), os.X_OK)]
        missing += [] if candidate.crds.is_dir() else [f"definitions ({candidate.crds})"]
        if not missing:
            return candidate
        lacks.append(f"{candidate.programs} lacks {', '.join(missing)}")
    raise NoBinariesError(f"no Kubernetes control plane on this machine: {'; '.join(lacks)}. Build it: `{BUILD}`")


def _crds(programs: Path, place: Binaries) -> Path:
    beside = programs / "crds"
    return beside if beside.is_dir() else place.crds
