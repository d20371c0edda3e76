"""Builds the archive of the function that drives rollouts (docs/rollout-runner.md): this checkout's code, and the packages that
it needs in the versions of requirements.lock, for Lambda's Python on arm64.

Usage: runner_archive.py FILE.zip. The same checkout and lock make the same bytes.
"""

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PYTHON = "3.12"
PLATFORMS = ("manylinux2014_aarch64", "manylinux_2_28_aarch64")
"""Of wheels that Amazon Linux 2023 runs (glibc 2.34)."""
PACKAGES = (
    *("annotated-types", "anyio", "botocore", "certifi", "h11", "httpcore", "httpcore2", "httpx", "httpx2", "idna", "jmespath"),
    *("lightkube", "lightkube-models", "msgspec", "numpy", "pydantic", "pydantic-core", "python-dateutil", "pyyaml", "scipy"),
    *("six", "tenacity", "truststore", "typing-extensions", "typing-inspection", "urllib3"),
)
"""All that the handler imports, and what that imports; a test imports it with nothing else there."""
CODE = ("turnout/__init__.py", "turnout/analysis", "turnout/metrics", "turnout/rollout")
COMPONENTS = "components/turnout_components"
CALLED = frozenset(
    {"autoscaling", "cloudwatch", "dynamodb", "ec2", "elbv2", "logs", "scheduler", "secretsmanager", "sns", "ssm"}
)
"""The services that the handler calls; `tests/access/test_rollout_runner_access.py` holds them against its calls."""
ON_EKS = frozenset({"eks", "sts"})
"""By which it finds the cluster, and has a token for it."""
SERVICES = CALLED | ON_EKS | {"sso", "sso-oidc"}
"""Whose descriptions of botocore's are packed: also those that credentials come from."""
UNZIPPED = 250 * 1024 * 1024
"""What a function's code may be, unpacked ("Lambda quotas")."""
_TARGET = {
    "implementation_name": "cpython",
    "os_name": "posix",
    "platform_machine": "aarch64",
    "platform_python_implementation": "CPython",
    "platform_system": "Linux",
    "python_full_version": f"{PYTHON}.0",
    "python_version": PYTHON,
    "sys_platform": "linux",
}


def requirements(lock: str) -> list[str]:
    """The lock's lines of `PACKAGES`, with their hashes, as they hold for Lambda's Python.

    Raises `LookupError` for a package that the lock has not."""
    found = {}
    for line in lock.replace("\\\n", " ").splitlines():
        text, _, hashes = line.partition(" --hash=")
        if not hashes:
            continue
        asked = Requirement(text)
        name = canonicalize_name(asked.name)
        if name in PACKAGES and (asked.marker is None or asked.marker.evaluate(_TARGET)):
            found[name] = f"{asked.name}{asked.specifier} --hash={hashes}"
    missing = sorted(set(PACKAGES) - found.keys())
    if missing:
        raise LookupError(f"requirements.lock has no {', '.join(missing)} for Python {PYTHON}; correct PACKAGES or the lock")
    return [found[name] for name in sorted(found)]


def pip_arguments(file: Path, folder: Path) -> list[str]:
    """What pip is called with: wheels of that platform only, each with a hash of the lock."""
    platforms = [word for platform in PLATFORMS for word in ("--platform", platform)]
    return [
        *("install", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-compile", "--require-hashes"),
        *("--only-binary=:all:", "--implementation", "cp", "--python-version", PYTHON, "--ignore-requires-python"),
        *platforms,
        *("--target", str(folder), "--requirement", str(file)),
    ]


def contents(packages: Path) -> Iterator[tuple[str, Path]]:
    """What goes into the archive, by its name in there: installed packages, and this checkout's code."""
    for path in packages.rglob("*"):
        name = path.relative_to(packages)
        if path.is_file() and is_wanted(name):
            yield name.as_posix(), path
    for folder, below in ((ROOT, CODE), (ROOT / COMPONENTS, ("",))):
        top = ROOT if folder == ROOT else folder.parent
        for part in below:
            for path in [folder / part] if (folder / part).is_file() else (folder / part).rglob("*"):
                if path.is_file() and "__pycache__" not in path.parts:
                    yield path.relative_to(top).as_posix(), path


def is_wanted(name: Path) -> bool:
    """Whether a package's file is packed: no scripts, no compiled files, no descriptions of services that are not called."""
    parts = name.parts
    if parts[0] == "bin" or "__pycache__" in parts:
        return False
    return not (parts[:2] == ("botocore", "data") and len(parts) > 3 and parts[2] not in SERVICES)


def pack(files: Iterator[tuple[str, Path]], target: Path) -> str:
    """Writes the archive; its sha256 in hex. Names are sorted and times fixed, so that the same files make the same bytes.

    Raises `ValueError` when it would be larger than Lambda takes."""
    found = sorted(files)
    size = sum(path.stat().st_size for _, path in found)
    if size > UNZIPPED:
        raise ValueError(f"{size / 1024**2:.0f} MB unpacked are more than Lambda's {UNZIPPED / 1024**2:.0f}; take packages out")
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, path in found:
            entry = zipfile.ZipInfo(name)
            entry.external_attr, entry.compress_type = 0o755 << 16, zipfile.ZIP_DEFLATED
            archive.writestr(entry, path.read_bytes())
    packed = target.stat().st_size
    print(f"{target}: {len(found)} files, {packed / 1024**2:.0f} MB, {size / 1024**2:.0f} MB unpacked")
    return hashlib.sha256(target.read_bytes()).hexdigest()


def main(target: Path) -> None:
    """Installs the packages into a folder that goes away, and packs."""
    with tempfile.TemporaryDirectory() as place:
        wanted, folder = Path(place) / "requirements.txt", Path(place) / "packages"
        wanted.write_text("\n".join(requirements((ROOT / "requirements.lock").read_text())))
        subprocess.run([sys.executable, "-m", "pip", *pip_arguments(wanted, folder)], check=True)
        print(f"sha256 {pack(contents(folder), target)}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
