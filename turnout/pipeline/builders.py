"""Builds a release's image from the folder of its image.toml, as an OCI image layout: the same inputs give the same digest.

Three builders, by the programs of a machine. `crane` needs neither daemon nor root: it puts the server's files as one
layer on top of a base image. A folder with a `Containerfile` of its own is for `buildah` and `docker`, which can run commands.
"""

import csv
import io
import json
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from uuid import uuid4

from turnout_components.release import SHA256

from turnout.cloud.images import MANIFEST, Image
from turnout.cloud.ports import Ports

SCRATCH = "scratch"
APP = "/app"
CONTAINERFILE = "Containerfile"
CRANE = "github.com/google/go-containerregistry/cmd/crane@v0.20.6"
_BASE = re.compile(rf"^[^\s@]+@{SHA256}$")
_UP = 10.0
"""Seconds within which a registry on loopback must answer."""
Which = Callable[[str], str | None]


class BuildError(ValueError):
    """An image that cannot be built; the message says why and what to do."""


@dataclass(frozen=True)
class Context:
    """What goes into an image: the files that image.toml lists, below `APP` as they lie below `root`, and how they start."""

    image: Image
    root: Path
    base: str

    @property
    def place(self) -> str:
        """The folder's path below `APP`."""
        inside = self.image.folder.is_relative_to(self.root)
        return self.image.folder.relative_to(self.root).as_posix() if inside else self.image.name

    @property
    def files(self) -> dict[str, Path]:
        """Files by their path in the image, without the first slash, in order."""
        return {f"{APP[1:]}/{self.place}/{name}": self.image.folder / name for name in self.image.files}

    @property
    def entrypoint(self) -> tuple[str, ...]:
        """image.toml's command; `{python}` is the base image's."""
        return self.image.started_by("python3", f"{APP}/{self.place}")

    @property
    def labels(self) -> dict[str, str]:
        """What the image says of itself: the digest of its sources."""
        return {"turnout.source": self.image.reference}

    @property
    def containerfile(self) -> Path | None:
        """The folder's own, where it has one."""
        path = self.image.folder / CONTAINERFILE
        return path if path.is_file() else None


class Builder(Protocol):
    """A program that builds images."""

    @property
    def name(self) -> str: ...

    def build(self, context: Context, layout: Path) -> str:
        """Makes an OCI image layout in the folder `layout`, which is not there yet; the image's digest.

        Raises `BuildError`."""
        ...


def context_of(image: Image, root: Path, base: str | None) -> Context:
    """`base` stands above image.toml's own.

    Raises `BuildError` where neither names one, or one not by digest."""
    chosen = base or image.base
    own = (image.folder / CONTAINERFILE).is_file()
    if chosen is None and not own:
        fix = f"say --base IMAGE@sha256:…, or base = … in {MANIFEST}; {SCRATCH} where the server needs nothing"
        raise BuildError(f"{image.folder}: nothing says which image has what the server needs: {fix}")
    if not own and chosen != SCRATCH and not _BASE.match(str(chosen)):
        raise BuildError(f"base {chosen} is not named by digest, so the same build could give another image: IMAGE@sha256:…")
    return Context(image, root, SCRATCH if own else str(chosen))


def choose(context: Context, wanted: str | None, env: Mapping[str, str], which: Which = shutil.which) -> Builder:
    """The builder of that name, or the first that this machine has and that can build this. `env`: what it needs to reach the
    base image's registry.

    Raises `BuildError`."""
    made: dict[str, Builder] = {
        "crane": Crane(which("crane") or "crane", env),
        "buildah": Buildah(which("buildah") or "buildah", env),
        "docker": Docker(which("docker") or "docker", env),
    }
    able = [name for name in made if name != "crane" or context.containerfile is None]
    if wanted is not None:
        if wanted not in able:
            why = f"{CONTAINERFILE} needs buildah or docker" if wanted in made else f"write one of {', '.join(made)}"
            raise BuildError(f"builder {wanted}: {why}")
        if which(wanted) is None:
            raise BuildError(f"builder {wanted} is not on the PATH{_install(wanted)}")
        return made[wanted]
    for name in able:
        if which(name) is not None:
            return made[name]
    raise BuildError(f"none of {', '.join(able)} is on the PATH{_install(able[0])}")


def _install(name: str) -> str:
    return f"; install it with `go install {CRANE}`" if name == "crane" else ""


@dataclass(frozen=True)
class Crane:
    """`crane append` and `crane mutate` by way of a registry on loopback, which ends with the build (go-containerregistry)."""

    program: str
    env: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return "crane"

    def build(self, context: Context, layout: Path) -> str:
        with tempfile.TemporaryDirectory(prefix="turnout-build-") as folder, served(self.program) as registry:
            layer = Path(folder) / "layer.tar"
            write_layer(context, layer)
            base = ["--oci-empty-base"] if context.base == SCRATCH else ["--base", context.base]
            appended = f"{registry}/build:appended"
            run([self.program, "append", *base, "--new_layer", str(layer), "--new_tag", appended, *_PLATFORM], self.env)
            labels = [word for pair in context.labels.items() for word in ("--label", "=".join(pair))]
            start = ["--entrypoint", _csv(context.entrypoint), "--workdir", APP, "--set-platform", _PLATFORM[1]]
            run([self.program, "mutate", appended, *start, *labels, "--tag", f"{registry}/build:made", *_PLATFORM], self.env)
            run([self.program, "pull", "--format", "oci", f"{registry}/build:made", str(layout), *_PLATFORM], self.env)
        return digest_of(layout)


_PLATFORM = ("--platform", "linux/amd64")


@dataclass(frozen=True)
class Buildah:
    """`buildah build`, with every time stamp at 0. Storage and isolation are what its environment says."""

    program: str
    env: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return "buildah"

    def build(self, context: Context, layout: Path) -> str:
        tag = f"turnout-build:{uuid4().hex}"
        with _folder(context) as (folder, file):
            stamps = ["--timestamp", "0", "--format", "oci", "--layers=false", *_PLATFORM]
            run([self.program, "build", *stamps, "--file", str(file), "--tag", tag, str(folder)], self.env)
        try:
            run([self.program, "push", "--format", "oci", tag, f"oci:{layout}"], self.env)
        finally:
            run([self.program, "rmi", "--force", tag], self.env)
        return digest_of(layout)


@dataclass(frozen=True)
class Docker:
    """`docker buildx build` into an OCI archive, with time stamps rewritten. Its builder must be of the `docker-container`
    driver ("OCI and Docker exporters", Docker's documentation; "Build reproducibility", BuildKit's)."""

    program: str
    env: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return "docker"

    def build(self, context: Context, layout: Path) -> str:
        with _folder(context) as (folder, file), tempfile.TemporaryDirectory(prefix="turnout-build-") as work:
            archive = Path(work) / "image.tar"
            output = f"type=oci,dest={archive},rewrite-timestamp=true"
            same = ["--build-arg", "SOURCE_DATE_EPOCH=0", "--provenance=false", "--sbom=false", *_PLATFORM]
            run([self.program, "buildx", "build", "--file", str(file), "--output", output, *same, str(folder)], self.env)
            with tarfile.open(archive) as content:
                content.extractall(layout, filter="data")
        return digest_of(layout)


def write_layer(context: Context, path: Path) -> None:
    """A tar with the files and their folders, owned by root, of time 0 and in order: the same bytes on every machine."""
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
        folders = sorted({parent for name in context.files for parent in _parents(name)})
        for name in folders:
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(entry)
        for name, file in context.files.items():
            content = file.read_bytes()
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), _mode(file)
            archive.addfile(entry, io.BytesIO(content))


def containerfile(context: Context) -> str:
    """For builders that want one: the base, the files, how they are started."""
    labels = " ".join(f"{json.dumps(name)}={json.dumps(value)}" for name, value in context.labels.items())
    lines = [f"FROM {context.base}", f"COPY . {APP}/", f"WORKDIR {APP}", f"LABEL {labels}"]
    return "\n".join([*lines, f"ENTRYPOINT {json.dumps(list(context.entrypoint))}", ""])


def digest_of(layout: Path) -> str:
    """The digest of the one image in a layout, whose manifest is there ("image-layout", OCI Image Format Specification).

    Raises `BuildError`."""
    try:
        listed = json.loads((layout / "index.json").read_text())["manifests"]
        (digest,) = (str(one["digest"]) for one in listed)
    except (OSError, ValueError, KeyError) as error:
        raise BuildError(f"{layout} is no layout of one image: {error}") from None
    if not (layout / "blobs" / digest.replace(":", "/")).is_file():
        raise BuildError(f"{layout} has no manifest {digest}")
    return digest


@contextmanager
def served(crane: str) -> Iterator[str]:
    """A registry on loopback while the block runs, in memory: `host:port`.

    Raises `BuildError` where it does not come up."""
    address = f"127.0.0.1:{Ports().take()}"
    process = subprocess.Popen(
        [crane, "registry", "serve", "--address", address], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + _UP
        while subprocess.run([crane, "catalog", address], capture_output=True, check=False).returncode:
            if process.poll() is not None or time.monotonic() > deadline:
                raise BuildError(f"`{crane} registry serve` does not answer at {address}; is crane {CRANE.rpartition('@')[2]}?")
            time.sleep(0.05)
        yield address
    finally:
        process.kill()
        process.wait()


def run(command: Sequence[str], env: Mapping[str, str]) -> str:
    """The output of a builder's command, which has the caller's environment and `env`.

    Raises `BuildError` with its last words."""
    try:
        done = subprocess.run(command, env={**os.environ, **env}, capture_output=True, text=True, check=False)
    except OSError as error:
        raise BuildError(f"{command[0]} cannot be run: {error.strerror}") from None
    if done.returncode:
        said = " / ".join((done.stderr or done.stdout).strip().splitlines()[-3:])
        raise BuildError(f"`{Path(command[0]).name} {command[1]}` failed: {said[-600:]}")
    return done.stdout.strip()


@contextmanager
def _folder(context: Context) -> Iterator[tuple[Path, Path]]:
    """A folder to build in and its Containerfile: the image's own, or one with the listed files alone."""
    if context.containerfile is not None:
        yield context.image.folder, context.containerfile
        return
    with tempfile.TemporaryDirectory(prefix="turnout-build-") as made:
        files = Path(made) / "files"
        for name, file in context.files.items():
            copy = files / name.removeprefix(f"{APP[1:]}/")
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)
            copy.chmod(_mode(file))
        for folder in (files, *(path for path in files.rglob("*") if path.is_dir())):
            folder.chmod(0o755)
        text = Path(made) / CONTAINERFILE
        text.write_text(containerfile(context))
        yield files, text


def _mode(file: Path) -> int:
    """Never that of the checkout, which a umask decides."""
    return 0o755 if os.access(file, os.X_OK) else 0o644


def _parents(name: str) -> list[str]:
    parts = name.split("/")[:-1]
    return ["/".join(parts[: i + 1]) for i in range(len(parts))]


def _csv(words: Sequence[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(words)
    return line.getvalue()
