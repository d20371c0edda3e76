"""Images in a registry, by digest, with crane (go-containerregistry); the password of ECR's registries is AWS's to give."""

import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from turnout.pipeline.builders import CRANE, BuildError, digest_of, run

_ECR = re.compile(r"^\d{12}\.dkr[.-]ecr[a-z.-]*\.(?P<region>[a-z0-9-]+)\.(?:amazonaws\.com(?:\.cn)?|on\.aws)$")
_UNKNOWN = ("MANIFEST_UNKNOWN", "NAME_UNKNOWN", "404 Not Found")
"""What a registry says of what it does not have ("Error Codes", OCI Distribution Specification)."""
Ecr = Callable[[str], Any]
"""A client of ECR in a region."""


class RegistryError(ValueError):
    """A registry that refuses, or holds something else than it should; the message says which and why."""


@dataclass(frozen=True)
class Put:
    """Where something is now, and whether it was there before."""

    where: str
    was_there: bool


def find_crane(which: Callable[[str], str | None] = shutil.which) -> str:
    """The program. Raises `BuildError` where there is none."""
    found = which("crane")
    if found is None:
        raise BuildError(f"crane is not on the PATH, which pushes images; install it with `go install {CRANE}`")
    return found


def push(crane: str, layout: Path, repository: str, env: Mapping[str, str]) -> Put:
    """Pushes the image in an OCI layout by its digest unless it is there. It also gets a tag made of its digest, which nobody
    reads: ECR's lifecycle rule deletes images without one (docs/artifacts.md).

    Raises `RegistryError`, `BuildError`."""
    digest = digest_of(layout)
    reference, tag = f"{repository}@{digest}", digest.replace(":", "-")
    there = digest_at(crane, reference, env) == digest
    if not there:
        run([crane, "push", str(layout), reference], env)
        found = digest_at(crane, reference, env)
        if found != digest:
            raise RegistryError(f"{reference} was pushed and {repository} has {found or 'nothing'}; see the registry")
    if digest_at(crane, f"{repository}:{tag}", env) is None:
        run([crane, "tag", reference, tag], env)
    return Put(reference, there)


def digest_at(crane: str, reference: str, env: Mapping[str, str]) -> str | None:
    """The digest of what a reference names; None where there is nothing.

    Raises `RegistryError` where that cannot be known."""
    try:
        return run([crane, "digest", reference], env)
    except BuildError as error:
        if any(word in str(error) for word in _UNKNOWN):
            return None
        raise RegistryError(f"{reference} cannot be looked up: {error}") from None


@contextmanager
def login(references: tuple[str, ...], ecr: Ecr) -> Iterator[dict[str, str]]:
    """What a program's environment needs to reach these images: nothing, or for ECR a config of Docker's kind that ends with
    the block, with the user's own registries in it ("GetAuthorizationToken", Amazon ECR API Reference)."""
    hosts = {reference.partition("/")[0] for reference in references}
    named = {host: match["region"] for host in sorted(hosts) if (match := _ECR.match(host))}
    if not named:
        yield {}
        return
    auths = {host: {"auth": _token(ecr(region))} for host, region in named.items()}
    with tempfile.TemporaryDirectory(prefix="turnout-login-") as folder:
        config = Path(folder) / "config.json"
        config.touch(0o600)
        known = _own_config()
        config.write_text(json.dumps({**known, "auths": {**known.get("auths", {}), **auths}}))
        yield {"DOCKER_CONFIG": folder}


def _token(client: Any) -> str:
    return str(client.get_authorization_token()["authorizationData"][0]["authorizationToken"])


def _own_config() -> dict[str, Any]:
    folder = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    with suppress(OSError, ValueError):
        return dict(json.loads((folder / "config.json").read_text()))
    return {}
