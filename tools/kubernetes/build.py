"""Builds the control plane of turnout/cluster/versions.py from its Go modules into the cache, whole or not at all."""

import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from turnout.cluster.binaries import Binaries, built, cache, optional
from turnout.cluster.versions import CRD_MODULES, GO_PARTS, KUBERNETES, CrdModule, Edit, GoPart

_HERE = Path(__file__).parent
_LEASH = Path(__file__).parents[2] / "turnout/cloud/leash.py"
_VERSION = "k8s.io/component-base/version"
_LINKED = "-s -w " + " ".join(
    f"-X {_VERSION}.{name}={value}"
    for name, value in zip(("gitVersion", "gitMajor", "gitMinor"), (f"v{KUBERNETES}", *KUBERNETES.split(".")[:2]), strict=True)
)
"""What Kubernetes' own build tells its programs of their version; clients read it."""
_REPORT_EVERY = 15.0

Say = Callable[[str], None]
Make = Callable[[str, Path, Say], None]
"""Fills a folder, with the Go command."""


class BuildError(RuntimeError):
    """The build cannot be made here; the message says why and what to do."""


def ensure(say: Say) -> Binaries:
    """The build of these versions, made where it is missing: about 8 minutes on 2 cores, a minute where Go has compiled
    it before. Of two that build at once the second waits. What an interrupted build leaves is removed by the next.

    Raises `BuildError`."""
    place = built()
    _made(place.programs.parent, GO_PARTS, _control_plane, say)
    return place


def ensure_part(part: GoPart, say: Say) -> Path:
    """The folder with the programs of one of `OPTIONAL_PARTS`, made where it is missing, as `ensure` does it.

    Raises `BuildError`."""

    def make(go: str, staging: Path, say: Say) -> None:
        if part.definitions is not None:
            _copy_definitions(go, part.definitions, staging / "crds")
        _compile_all(go, (part,), staging, say)

    folder = optional(part)
    _made(folder, (part,), make, say)
    return folder


def _made(folder: Path, parts: Sequence[GoPart], make: Make, say: Say) -> None:
    """A folder of the cache's name appears by a rename, after everything is in it."""
    if folder.is_dir():
        return
    try:
        cache().mkdir(parents=True, exist_ok=True)
        with _alone(cache() / ".lock", say):
            if not folder.is_dir():
                _build(folder, parts, make, say)
    except OSError as error:
        raise BuildError(f"cannot write to {cache()}: {error.strerror or error}. XDG_CACHE_HOME names another place") from error


@contextmanager
def _alone(lock: Path, say: Say) -> Iterator[None]:
    """Holds the lock, which the kernel lets go when its holder ends, however it ends."""
    with lock.open("a+") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another build is running; waiting for it")
            fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _build(folder: Path, parts: Sequence[GoPart], make: Make, say: Say) -> None:
    go = _go(parts)
    for left in folder.parent.glob(".building-*"):
        shutil.rmtree(left)
    staging = Path(tempfile.mkdtemp(prefix=".building-", dir=folder.parent))
    try:
        make(go, staging, say)
        staging.chmod(0o755)
        staging.rename(folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _control_plane(go: str, staging: Path, say: Say) -> None:
    for module in CRD_MODULES:
        _copy_definitions(go, module, staging / "crds")
    say(f"definitions of {len(CRD_MODULES)} modules")
    _compile_all(go, GO_PARTS, staging / "bin", say)


def _compile_all(go: str, parts: Sequence[GoPart], folder: Path, say: Say) -> None:
    programs = [(part, program) for part in parts for program in part.packages]
    for number, (part, program) in enumerate(programs, 1):
        say(f"{program} {part.version} ({number} of {len(programs)})")
        with _sources(go, part) as place:
            _compile(go, part, program, place, folder, say)


@contextmanager
def _sources(go: str, part: GoPart) -> Iterator[Path]:
    """The folder with the part's go.mod; of a part with edits a copy of it, which names an edited copy of its module."""
    place = _HERE / part.folder
    if not part.edits:
        yield place
        return
    with tempfile.TemporaryDirectory() as temporary:
        copy, source = Path(temporary, "part"), Path(temporary, "source")
        shutil.copytree(place, copy)
        shutil.copytree(_downloaded(go, f"{part.module}@v{part.version}", place)["Dir"], source, copy_function=shutil.copyfile)
        for edit in part.edits:
            _edit(source / edit.file, edit)
        (package,) = part.packages.values()
        subprocess.run([go, "mod", "edit", f"-replace={package}={source}"], cwd=copy, check=True)
        yield copy


def _edit(file: Path, edit: Edit) -> None:
    text = file.read_text()
    if text.count(edit.before) != 1:
        raise BuildError(f"{edit.file} of the module has {edit.before!r} {text.count(edit.before)} times, not once")
    file.write_text(text.replace(edit.before, edit.after))


def _go(parts: Sequence[GoPart]) -> str:
    """The Go command, new enough for the modules (or one that fetches its newer self, as Go does unless told not to)."""
    go = shutil.which("go")
    if go is None:
        raise BuildError("no Go on this machine: the control plane is built from Go modules. Install Go (go.dev/dl)")
    for part in parts:
        said = subprocess.run([go, "env", "GOVERSION"], cwd=_HERE / part.folder, capture_output=True, text=True)
        if said.returncode != 0:
            raise BuildError(f"this Go is not taken for {part.module} {part.version}: {said.stderr.strip()}")
    return go


def _copy_definitions(go: str, module: CrdModule, crds: Path) -> None:
    """Raises `BuildError` when the module is not to be had, or is not the one that was pinned."""
    target = f"{module.module}@{module.version}"
    answer = _downloaded(go, target, crds.parent)
    if answer["Sum"] != module.sum:
        raise BuildError(f"{target}: its sum is {answer['Sum']}, turnout/cluster/versions.py says {module.sum}")
    found = [path for path in sorted(Path(answer["Dir"]).glob(module.files)) if path.name != "kustomization.yaml"]
    if not found:
        raise BuildError(f"{target}: no file is called {module.files}")
    folder = crds / module.name
    folder.mkdir(parents=True)
    for path in found:
        (folder / path.name).write_bytes(path.read_bytes())


def _downloaded(go: str, target: str, cwd: Path) -> dict[str, Any]:
    """What Go says of a module that it has fetched. Raises `BuildError` when it is not to be had."""
    said = subprocess.run([go, "mod", "download", "-json", target], cwd=cwd, capture_output=True, text=True)
    try:
        answer: dict[str, Any] = json.loads(said.stdout)
    except ValueError:
        answer = {"Error": said.stderr.strip()}
    if "Dir" not in answer:
        raise BuildError(f"{target}: {answer.get('Error', 'not downloaded')}")
    return answer


def _compile(go: str, part: GoPart, program: str, place: Path, folder: Path, say: Say) -> None:
    """Compiles one program, at low priority and two packages at a time: it shall not take the machine from its user."""
    package = part.packages[program]
    linked = f"{_LINKED} -X {part.linked}={part.version}" if part.linked else _LINKED
    command = [go, "build", "-v", "-p", "2", "-mod=readonly", "-trimpath", "-buildvcs=false", f"-ldflags={linked}"]
    command += ["-o", str(folder / program), package]
    status, log = _watched(command, place, lambda count: say(f"{program}: {count} packages"))
    if status != 0:
        tail = "\n".join(log[-12:])
        raise BuildError(f"{program} {part.version} was not built (`go build` in tools/kubernetes/{part.folder}):\n{tail}")


def _watched(command: Sequence[str], cwd: Path, report: Callable[[int], None]) -> tuple[int, list[str]]:
    """Runs the command on a leash: it ends when this process does. `go build -v` prints a line a package.

    Returns its status and what it printed besides the packages' names."""
    environ = {**os.environ, "CGO_ENABLED": "0", "GOWORK": "off"}
    leashed = [sys.executable, "-I", "-S", str(_LEASH), str(os.getpid()), "nice", *command]
    packages, log, told = 0, [], time.monotonic()
    with subprocess.Popen(
        leashed, cwd=cwd, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as running:
        assert running.stdout is not None
        for line in running.stdout:
            if " " in line.strip():
                log.append(line.rstrip())
            else:
                packages += 1
            if time.monotonic() - told > _REPORT_EVERY:
                report(packages)
                told = time.monotonic()
    return running.returncode, log
