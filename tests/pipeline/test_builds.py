"""Images are built by real builders and pushed to a real registry, by digest; the same inputs give the same digest."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
from turnout_components.artifact import LocalFiles

from tests.layout_rules import ROOT
from tests.pipeline.conftest import SMOKE, Make
from turnout.cloud import images
from turnout.pipeline.builders import (
    Buildah,
    BuildError,
    Context,
    Crane,
    Docker,
    choose,
    context_of,
    digest_of,
    write_layer,
)
from turnout.pipeline.registry import RegistryError, digest_at, find_crane, login, push
from turnout.pipeline.smoke_set import SmokeSet
from turnout.pipeline.validate import Subject, validate

NO_BUILDAH = "install buildah, and be root"


def context(make: Make, tmp_path: Path, base: str | None = "scratch") -> Context:
    return context_of(make().image, tmp_path, base)


def config(layout: Path) -> dict[str, Any]:
    """An image's config, found from its manifest."""

    def blob(digest: str) -> Any:
        return json.loads((layout / "blobs" / digest.replace(":", "/")).read_text())

    return dict(blob(blob(digest_of(layout))["config"]["digest"]))


def test_crane_builds_the_same_image_from_the_same_files_again(make: Make, crane: str, tmp_path: Path) -> None:
    given = context(make, tmp_path)
    first = Crane(crane).build(given, tmp_path / "one")
    for file in given.image.folder.iterdir():
        os.utime(file, (1, 1))
    (given.image.folder / "notes.txt").write_text("not listed in image.toml")
    assert Crane(crane).build(given, tmp_path / "two") == first
    (given.image.folder / "server.py").write_text("print()")
    assert Crane(crane).build(given, tmp_path / "three") != first
    made = config(tmp_path / "one")
    assert (made["os"], made["architecture"]) == ("linux", "amd64")
    assert made["config"]["Entrypoint"] == ["python3", "/app/strange/server.py"]
    assert made["config"]["WorkingDir"] == "/app"
    assert made["config"]["Labels"] == {"turnout.source": make().image.reference}


@pytest.mark.skipif(shutil.which("buildah") is None or os.geteuid() != 0, reason=NO_BUILDAH)
def test_buildah_builds_the_same_image_from_the_same_files_again(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORAGE_DRIVER", "vfs")
    given = context(make, tmp_path)
    first = Buildah("buildah").build(given, tmp_path / "one")
    os.utime(given.image.folder / "server.py", (1, 1))
    old = os.umask(0o077)
    try:
        assert Buildah("buildah").build(given, tmp_path / "two") == first
    finally:
        os.umask(old)
    made = config(tmp_path / "one")["config"]
    assert made["Entrypoint"] == ["python3", "/app/strange/server.py"]
    assert made["Labels"]["turnout.source"] == given.image.reference


def test_docker_is_told_to_make_an_oci_layout(make: Make, tmp_path: Path) -> None:
    """No Docker engine runs where this was written: a stand-in writes down what it is told, and answers with a layout."""
    shim, told = tmp_path / "docker", tmp_path / "told"
    made = tmp_path / "made"
    (made / "blobs/sha256").mkdir(parents=True)
    (made / "blobs/sha256/77").write_text("{}")
    (made / "index.json").write_text('{"manifests": [{"digest": "sha256:77"}]}')
    shim.write_text(
        f'#!{sys.executable}\nimport json, sys, tarfile\nargs = sys.argv[1:]\nopen("{told}", "w").write(json.dumps(args))\n'
        'dest = args[args.index("--output") + 1].split("dest=")[1].split(",")[0]\n'
        f'with tarfile.open(dest, "w") as out:\n    out.add("{made}", ".")\n'
        f'open("{told}.file", "w").write(open(args[args.index("--file") + 1]).read())\n'
    )
    shim.chmod(0o755)
    base = f"registry.example/python@sha256:{64 * '5'}"
    assert Docker(str(shim)).build(context(make, tmp_path, base), tmp_path / "layout") == "sha256:77"
    words = json.loads(told.read_text())
    assert words[:2] == ["buildx", "build"]
    assert ",rewrite-timestamp=true" in words[words.index("--output") + 1]
    assert words[words.index("--build-arg") + 1] == "SOURCE_DATE_EPOCH=0"
    assert {"--provenance=false", "--sbom=false"} <= set(words)
    assert (tmp_path / "told.file").read_text().splitlines() == [
        f"FROM {base}",
        "COPY . /app/",
        "WORKDIR /app",
        f'LABEL "turnout.source"="{make().image.reference}"',
        'ENTRYPOINT ["python3", "/app/strange/server.py"]',
    ]


def test_an_image_is_pushed_by_digest_once_and_a_tag_keeps_it(make: Make, crane: str, registry: str, tmp_path: Path) -> None:
    digest = Crane(crane).build(context(make, tmp_path), tmp_path / "layout")
    repository = f"{registry}/models/m"
    assert digest_at(crane, f"{repository}@{digest}", {}) is None
    first = push(crane, tmp_path / "layout", repository, {})
    assert (first.where, first.was_there) == (f"{repository}@{digest}", False)
    assert push(crane, tmp_path / "layout", repository, {}).was_there
    tags = subprocess.run([crane, "ls", repository], capture_output=True, text=True, check=True).stdout.split()
    assert tags == [digest.replace(":", "-")]
    whole = subprocess.run([crane, "validate", "--remote", first.where], capture_output=True, text=True, check=False)
    assert whole.returncode == 0, whole.stderr


def test_what_was_pushed_serves_the_model_on_top_of_its_base(make: Make, crane: str, registry: str, tmp_path: Path) -> None:
    """Taken out of the registry by digest and unpacked, its files answer the smoke set."""
    folder = make()
    lower = tmp_path / "lower"
    lower.mkdir()
    (lower / "layer.tar").write_bytes(b"")
    with tarfile.open(lower / "base.tar", "w") as archive:
        archive.add(ROOT / "LICENSE", "usr/share/LICENSE")
    base = f"{registry}/base"
    append = [crane, "append", "--oci-empty-base", "--new_layer", str(lower / "base.tar"), "--new_tag", f"{base}:1"]
    subprocess.run(append, check=True, capture_output=True)
    below = digest_at(crane, f"{base}:1", {})
    Crane(crane).build(context_of(folder.image, tmp_path, f"{base}@{below}"), tmp_path / "layout")
    put = push(crane, tmp_path / "layout", f"{registry}/models/m", {})

    root = tmp_path / "unpacked"
    subprocess.run([crane, "export", put.where, str(tmp_path / "all.tar")], check=True, capture_output=True)
    with tarfile.open(tmp_path / "all.tar") as archive:
        archive.extractall(root, filter="data")
    assert (root / "usr/share/LICENSE").is_file()
    unpacked = images.read(root / "app/strange")
    assert unpacked.digest == folder.image.digest
    files = LocalFiles(folder.path)
    work = tmp_path / "work"
    work.mkdir()
    found = validate(Subject(folder.release, files, unpacked, SmokeSet.model_validate(SMOKE), root / "app"), work)
    assert found.sound, found.checks


def test_a_registry_that_is_away_is_told_from_one_without_the_image(make: Make, crane: str, tmp_path: Path) -> None:
    Crane(crane).build(context(make, tmp_path), tmp_path / "layout")
    with pytest.raises(RegistryError, match="cannot be looked up: `crane digest` failed"):
        push(crane, tmp_path / "layout", "127.0.0.1:1/models/m", {})


def test_a_layer_has_nothing_of_the_machine_in_it(make: Make, tmp_path: Path) -> None:
    write_layer(context(make, tmp_path), tmp_path / "layer.tar")
    with tarfile.open(tmp_path / "layer.tar") as archive:
        entries = archive.getmembers()
    assert [entry.name for entry in entries] == ["app", "app/strange", "app/strange/image.toml", "app/strange/server.py"]
    assert {(entry.mtime, entry.uid, entry.gid, entry.uname, entry.gname) for entry in entries} == {(0, 0, 0, "", "")}
    assert {oct(entry.mode) for entry in entries} == {"0o755", "0o644"}


@pytest.mark.parametrize(
    ("base", "said"),
    [(None, "say --base IMAGE@sha256:"), ("python:3.11", "is not named by digest"), (f"a@sha256:{63 * '0'}", "by digest")],
)
def test_a_base_that_could_change_is_refused(make: Make, tmp_path: Path, base: str | None, said: str) -> None:
    with pytest.raises(BuildError, match=said):
        context(make, tmp_path, base)


def test_the_base_may_stand_in_image_toml(make: Make, tmp_path: Path) -> None:
    folder = make()
    with (folder.path / "image.toml").open("a") as text:
        text.write('base = "scratch"\n')
    assert context_of(folder.image, tmp_path, None).base == "scratch"


def test_the_first_builder_of_the_machine_that_can_build_it_is_taken(make: Make, tmp_path: Path) -> None:
    plain = context(make, tmp_path)
    everywhere = "/opt/{}".format
    assert choose(plain, None, {}, everywhere).name == "crane"
    assert choose(plain, "docker", {}, everywhere).name == "docker"
    assert choose(plain, None, {}, lambda name: "/opt/docker" if name == "docker" else None).name == "docker"
    for wanted, which, said in (
        (None, lambda name: None, "none of crane, buildah, docker is on the PATH; install it with `go install "),
        ("buildah", lambda name: None, "builder buildah is not on the PATH"),
        ("kaniko", everywhere, "builder kaniko: write one of crane, buildah, docker"),
    ):
        with pytest.raises(BuildError, match=said):
            choose(plain, wanted, {}, which)  # type: ignore[arg-type]
    (plain.image.folder / "Containerfile").write_text("FROM scratch\n")
    own = context_of(plain.image, tmp_path, None)
    assert choose(own, None, {}, everywhere).name == "buildah"
    with pytest.raises(BuildError, match="Containerfile needs buildah or docker"):
        choose(own, "crane", {}, everywhere)


def test_a_builder_that_fails_is_quoted(make: Make, tmp_path: Path) -> None:
    shim = tmp_path / "buildah"
    shim.write_text("#!/bin/sh\necho no space left on device >&2\nexit 3\n")
    shim.chmod(0o755)
    with pytest.raises(BuildError, match="`buildah build` failed: no space left on device"):
        Buildah(str(shim)).build(context(make, tmp_path), tmp_path / "layout")
    with pytest.raises(BuildError, match="cannot be run: No such file"):
        Buildah(str(tmp_path / "gone")).build(context(make, tmp_path), tmp_path / "layout")
    with pytest.raises(BuildError, match="crane is not on the PATH"):
        find_crane(lambda name: None)


def test_an_ecr_registry_is_reached_by_a_password_that_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    (tmp_path / "config.json").write_text('{"auths": {"other.example": {"auth": "b3RoZXI="}}}')

    class Client:
        def __init__(self, region: str) -> None:
            assert region == "eu-west-1"

        def get_authorization_token(self) -> dict[str, Any]:
            return {"authorizationData": [{"authorizationToken": "QVdTOmtleQ=="}]}

    host = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
    with login((f"{host}/m", "scratch"), Client) as env:
        path = Path(env["DOCKER_CONFIG"]) / "config.json"
        assert json.loads(path.read_text())["auths"] == {
            "other.example": {"auth": "b3RoZXI="},
            host: {"auth": "QVdTOmtleQ=="},
        }
        assert path.stat().st_mode & 0o077 == 0
    assert not path.exists()
    with login(("registry.example/m",), Client) as env:
        assert env == {}
