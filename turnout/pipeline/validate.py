"""Proves a release before anything of it is published: its origin, its files, its format, that it loads, and what it answers.

Each check has figures or a reason. They stop at the first that makes the next pointless: nothing is loaded whose bytes are not
those that the manifest names.
"""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from turnout_components.artifact import ArtifactError, Files, LocalFiles, S3Files, verify
from turnout_components.durations import written
from turnout_components.release import Model, Release

from turnout.cloud.images import Image
from turnout.pipeline.formats import PICKLE, format_of
from turnout.pipeline.limited import LimitedProcess, mib
from turnout.pipeline.serving import Answers, ServerFault, ask, serving
from turnout.pipeline.smoke_set import SmokeSet

_INPUTS_SECONDS = 60.0


@dataclass(frozen=True)
class Check:
    """One check, by name, and what it came to: figures where it passed, else the reason and what to do."""

    check: str
    passed: bool
    said: str


@dataclass(frozen=True)
class Figures:
    """What was measured: seconds, bytes, requests."""

    load_seconds: float = 0.0
    peak_memory: int = 0
    p50_ms: float = 0.0
    p95_ms: float = 0.0
    asked: int = 0
    failed: int = 0
    wrong: int = 0


@dataclass(frozen=True)
class Subject:
    """What is validated: the release, where its model's files are, the image whose code serves it, and its smoke set. `root`:
    the project, where the server starts."""

    release: Release
    files: Files
    image: Image
    smoke: SmokeSet
    root: Path


@dataclass(frozen=True)
class Validation:
    """All checks that were made; `sound` where every one passed."""

    release: str
    checks: tuple[Check, ...]
    figures: Figures = field(default_factory=Figures)
    model: Mapping[str, Any] = field(default_factory=dict)
    """What was found of the model: `size` in bytes, `format`, `inputs`."""

    @property
    def sound(self) -> bool:
        return all(check.passed for check in self.checks)

    def document(self) -> dict[str, Any]:
        """As `--json` gives it (docs/cli.md)."""
        checks = [asdict(check) for check in self.checks]
        found = {"model": dict(self.model), **asdict(self.figures)}
        return {"release": self.release, "sound": self.sound, "checks": checks, **found}


def validate(subject: Subject, folder: Path, told: Callable[[Check], None] = lambda check: None) -> Validation:
    """Makes the checks one after the other, in `folder`, which is empty and the caller's to delete."""
    run = _Run(subject, folder)
    checks: list[Check] = []
    for check in run.checks():
        told(check)
        checks.append(check)
        if not check.passed and check.check != "provenance":
            break
    return Validation(subject.release.id, tuple(checks), run.figures, run.model)


class _Run:
    def __init__(self, subject: Subject, folder: Path) -> None:
        self._subject, self._folder = subject, folder
        self.figures, self.model = Figures(), dict[str, Any]()

    def checks(self) -> Iterator[Check]:
        wanted = self._subject.release.model
        yield provenance(self._subject.release, self._subject.smoke.waive.get("provenance"))
        try:
            path = fetch(wanted, self._subject.files, self._folder)
        except (ArtifactError, OSError) as error:
            yield Check("files", False, f"{error}; nothing was loaded")
            return
        self.model["size"] = size = size_of(path)
        if wanted.size not in (None, size):
            said = f"{wanted.uri} has {size:,} bytes, the manifest says {wanted.size:,}"
            yield Check("files", False, f"{said}; nothing was loaded")
            return
        yield Check("files", True, f"{wanted.uri}: {size:,} bytes, {wanted.sha256[:19]}… as the manifest says")
        self.model["format"] = format_of(path)
        yield model_format(wanted, self.model["format"])
        if self.model["format"] == "onnx" or wanted.inputs:
            yield self._inputs(path)
        yield from self._serve(path)

    def _inputs(self, path: Path) -> Check:
        wanted = self._subject.release.model.inputs
        if self.model["format"] != "onnx":
            return Check("inputs", False, f"of {self.model['format']} inputs cannot be read; leave model.inputs out")
        found = _onnx_inputs(path, self._folder, self._subject.smoke.limits.memory)
        if isinstance(found, str):
            return Check("inputs", False, f"the model cannot be read: {found}")
        self.model["inputs"] = found
        told = ", ".join(f"{name} {shape}" for name, shape in found.items())
        if wanted and wanted != found:
            said = ", ".join(f"{name} {shape}" for name, shape in wanted.items())
            return Check("inputs", False, f"the model takes {told}, the manifest says {said}")
        return Check("inputs", True, told + ("" if wanted else "; the manifest does not say"))

    def _serve(self, path: Path) -> Iterator[Check]:
        subject = self._subject
        smoke, limits = subject.smoke, subject.smoke.limits
        loaded = False
        try:
            with serving(subject.release, subject.image, path, smoke, subject.root, self._folder) as server:
                loaded = True
                memory = f"{mib(server.process.peak)} of at most {mib(limits.memory)}"
                self.figures = Figures(load_seconds=round(server.load, 3), peak_memory=server.process.peak)
                yield Check("load", True, f"ready after {server.load:.1f} s of at most {written(limits.load)}; {memory}")
                answers = ask(server, smoke)
                self.figures = _figures(server.load, server.process.peak, answers)
                yield smoke_check(answers, smoke, server.process.peak)
        except ServerFault as fault:
            yield Check("smoke" if loaded else "load", False, str(fault))


def provenance(release: Release, waived: str | None = None) -> Check:
    """Whether somebody can make the release again: from which commit, which data, which seed (which may be 0). `waived`: why it
    may lack some of that."""
    origin = release.provenance
    lacking = [name for name in ("git_commit", "training_data", "seed") if getattr(origin, name) in (None, "")]
    if lacking and waived:
        return Check("provenance", True, f"waived: {waived} (the manifest has no {', '.join(lacking)})")
    if lacking:
        fix = "make the manifest with `turnout releases create`, which takes --git-commit, --training-data and --seed"
        return Check("provenance", False, f"the manifest has no provenance.{', '.join(lacking)}: {fix}")
    if str(origin.git_commit).endswith("+dirty"):
        fix = "make it from a clean checkout"
        return Check("provenance", False, f"{origin.git_commit}: made from files that no commit has; {fix}")
    return Check("provenance", True, f"commit {str(origin.git_commit)[:12]}, data '{origin.training_data}', seed {origin.seed}")


def model_format(wanted: Model, found: str) -> Check:
    """Compares formats; a pickle must be called one by name."""
    if found == PICKLE and wanted.format != PICKLE:
        why = "to load a pickle is to run the code in it"
        fix = "export the model as ONNX or safetensors, or say that you trust it: model.format: pickle in the manifest"
        return Check("format", False, f"{wanted.uri} holds a pickle and was not loaded: {why}; {fix}")
    if wanted.format not in (None, found):
        return Check("format", False, f"{wanted.uri} is {found}, the manifest says {wanted.format}; nothing was loaded")
    if found == PICKLE:
        return Check("format", True, "pickle: loading it runs the code in it, which the manifest accepts by name")
    return Check("format", True, found + ("" if wanted.format else "; the manifest does not say"))


def smoke_check(answers: Answers, smoke: SmokeSet, peak: int) -> Check:
    """Judges the answers. A request that fails is never let pass; wrong answers are, up to `right`."""
    p50, p95 = (1000 * answers.quantile(share) for share in (0.5, 0.95))
    right = answers.asked - answers.failed - answers.wrong
    told = f"{right} of {answers.asked} right, p50 {p50:.1f} ms, p95 {p95:.1f} ms, {mib(peak)} at most"
    faults = "; ".join(answers.faults)
    if answers.failed:
        return Check("smoke", False, f"{answers.failed} of {answers.asked} requests failed: {faults}")
    if answers.right < smoke.right:
        return Check("smoke", False, f"{told}: at least {smoke.right:.0%} must be; {faults}")
    if smoke.limits.p95 is not None and p95 > 1000 * smoke.limits.p95.total_seconds():
        return Check("smoke", False, f"{told}: at most {written(smoke.limits.p95)} is allowed")
    return Check("smoke", True, told + (f"; wrong, as some may be: {faults}" if faults else ""))


def fetch(model: Model, files: Files, folder: Path) -> Path:
    """The model's file or folder on this machine, compared with the manifest byte by byte; what is in S3 is copied into
    `folder`.

    Raises `ArtifactError` where a file is missing or another, `OSError` where it cannot be kept."""
    if isinstance(files, S3Files):
        path = files.download(model, folder / "model")
        local: Files = LocalFiles(path.parent)
        here = model.model_copy(update={"uri": f"file:{path.name}" + ("/" if path.is_dir() else "")})
    else:
        assert isinstance(files, LocalFiles)
        path, local, here = files.path(model.uri), files, model
    faults = verify(here, local, whole=True)
    if faults:
        raise ArtifactError("\n".join(fault.replace(here.uri, model.uri) for fault in faults))
    return path


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    return sum(file.stat().st_size for file in ([path] if path.is_file() else path.rglob("*")) if file.is_file())


def _onnx_inputs(path: Path, folder: Path, memory: int) -> dict[str, str] | str:
    """Inputs by name as `float[n,64]`; why they cannot be read."""
    file = path if path.is_file() else next(path.rglob("*.onnx"))
    command = [sys.executable, "-m", "turnout.pipeline.onnx_inputs", str(file)]
    with LimitedProcess(command, {}, Path.cwd(), folder, memory) as process:
        if process.wait(_INPUTS_SECONDS) is None:
            return f"not done after {_INPUTS_SECONDS:.0f} s, and was ended"
        if process.code != 0:
            return process.fate
        return dict(json.loads(process.said))


def _figures(load: float, peak: int, answers: Answers) -> Figures:
    p50, p95 = (round(1000 * answers.quantile(share), 2) for share in (0.5, 0.95))
    return Figures(round(load, 3), peak, p50, p95, answers.asked, answers.failed, answers.wrong)
