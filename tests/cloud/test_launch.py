"""Images by digest, models by sha256, and what a server is started with."""

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from turnout_components.user_data import document, of_document, render

from turnout.cloud import images, launch
from turnout.cloud.images import ImageError
from turnout.cloud.launch import LaunchError, Node


@pytest.fixture
def image(tmp_path: Path) -> Path:
    folder = tmp_path / "catalogue" / "tiny"
    folder.mkdir(parents=True)
    (folder / "image.toml").write_text('name = "tiny"\nfiles = ["b.py", "a.py"]\ncommand = ["{python}", "{image}/a.py"]\n')
    (folder / "a.py").write_text("A")
    (folder / "b.py").write_text("B")
    (folder / "model.bin").write_bytes(b"weights")
    return folder


def node(image: Path, **changes: Any) -> Node:
    release = {
        "name": "tiny-1",
        "digest": "sha256:" + "d" * 64,
        "image": images.read(image).reference,
        "model": {"uri": "file:model.bin", "sha256": "sha256:" + hashlib.sha256(b"weights").hexdigest()},
        "engine": {"name": "tiny", "flags": ["--threads", "1"]},
        **changes,
    }
    return Node("blue", release)


def prepare(node: Node, image: Path, tmp_path: Path) -> launch.Start:
    folder = tmp_path / "i-1"
    folder.mkdir(exist_ok=True)
    return launch.prepare(node, "i-1", 2000, folder, [image.parent], tmp_path / "models")


def test_the_digest_covers_manifest_names_and_content_in_order_of_name(image: Path) -> None:
    manifest = (image / "image.toml").read_bytes()
    expected = hashlib.sha256(b"a.py\0A\0b.py\0B\0image.toml\0" + manifest + b"\0").hexdigest()
    assert images.digest(image) == f"sha256:{expected}"
    (image / "b.py").write_text("C")
    assert images.digest(image) != f"sha256:{expected}"
    (image / "model.bin").write_text("not listed")


def test_an_image_that_changed_after_it_was_named_is_not_found(image: Path) -> None:
    reference = images.read(image).reference
    assert images.find(reference, [image.parent]).folder == image
    (image / "a.py").write_text("A2")
    with pytest.raises(ImageError, match=r"rebuild the release's manifest"):
        images.find(reference, [image.parent])
    with pytest.raises(ImageError, match="name it local/"):
        images.find("docker.io/library/x@sha256:" + "0" * 64, [image.parent])
    (image / "b.py").unlink()
    with pytest.raises(ImageError, match=r"b\.py"):
        images.read(image)


@pytest.mark.parametrize(
    ("manifest", "said"),
    [
        (b'name = "m"\nfiles = ["../secret"]\ncommand = ["x"]', "files: ../secret is not in the folder"),
        (b'name = "m"\nfiles = ["/etc/hostname"]\ncommand = ["x"]', "files: /etc/hostname is not in the folder"),
        (b'name = "m"\nfiles = ["link"]\ncommand = ["x"]', "files: link is a link out of the folder"),
        (b'name = "../m"\nfiles = []\ncommand = ["x"]', "name = '../m'"),
        (b'name = 3\nfiles = []\ncommand = ["x"]', "name = 3"),
        (b'name = "m"\nfiles = "a.py"\ncommand = ["x"]', "files = 'a.py': write a list of texts"),
        (b'name = "m"\nfiles = []\ncommand = "python x"', "command = 'python x': write a list of texts"),
        (b'name = "m"\nfiles = []\ncommand = []', "command is empty"),
        (b"\xff\xfe", "image.toml: 'utf-8' codec"),
    ],
)
def test_an_image_that_is_not_of_its_folder_is_refused_by_field(
    image: Path, tmp_path: Path, manifest: bytes, said: str
) -> None:
    (tmp_path / "secret").write_text("not for images")
    (image / "link").symlink_to(tmp_path / "secret")
    (image / "image.toml").write_bytes(manifest)
    with pytest.raises(ImageError) as refused:
        images.read(image)
    assert said in str(refused.value)


def test_command_flags_and_environment(image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "planted")
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "planted")
    start = prepare(node(image), image, tmp_path)
    assert start.command == (sys.executable, f"{image}/a.py", "--threads", "1")
    assert (start.env["HOST"], start.env["PORT"], start.env["INSTANCE_ID"]) == ("127.0.0.1", "2000", "i-1")
    assert start.env["TURNOUT_RELEASE_DIGEST"] == "sha256:" + "d" * 64
    assert json.loads(Path(start.env["TURNOUT_RELEASE"]).read_text())["name"] == "tiny-1"
    assert Path(start.env["TURNOUT_MODEL"]).read_bytes() == b"weights"
    assert "planted" not in start.env.values()


def test_a_model_with_another_hash_is_refused_and_not_kept(image: Path, tmp_path: Path) -> None:
    wrong = node(image, model={"uri": "file:model.bin", "sha256": "sha256:" + "0" * 64})
    with pytest.raises(LaunchError, match="the release says sha256:0000"):
        prepare(wrong, image, tmp_path)
    assert list((tmp_path / "models").iterdir()) == []
    good = Path(prepare(node(image), image, tmp_path).env["TURNOUT_MODEL"])
    (image / "model.bin").write_bytes(b"changed later")
    assert Path(prepare(node(image), image, tmp_path).env["TURNOUT_MODEL"]) == good


def test_a_model_that_lies_in_an_installed_package_is_verified_and_copied(image: Path, tmp_path: Path) -> None:
    content = Path(json.decoder.__file__).read_bytes()
    model = {"uri": "package:json/decoder.py", "sha256": "sha256:" + hashlib.sha256(content).hexdigest()}
    assert Path(prepare(node(image, model=model), image, tmp_path).env["TURNOUT_MODEL"]).read_bytes() == content
    with pytest.raises(LaunchError, match="the release says"):
        prepare(node(image, model={**model, "sha256": "sha256:" + "0" * 64}), image, tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": {"uri": "gs://bucket/model", "sha256": "sha256:" + "0" * 64}}, "fetches file:"),
        ({"model": {"uri": "s3://no-such-bucket/model", "sha256": "sha256:" + "0" * 64}}, "has no bucket no-such-bucket"),
        ({"model": {"uri": "package:no_such_package/model", "sha256": "sha256:" + "0" * 64}}, "no package 'no_such_package'"),
        ({"model": {"uri": "package:json.tool/x", "sha256": "sha256:" + "0" * 64}}, "no package 'json.tool'"),
        ({"model": {"uri": "file:missing", "sha256": "sha256:" + "0" * 64}}, "cannot be fetched"),
        ({"engine": {}}, "'flags' is missing"),
    ],
)
def test_what_does_not_fit_is_named(image: Path, tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(LaunchError, match=message):
        prepare(node(image, **changes), image, tmp_path)


def test_user_data_is_read_back_and_anothers_is_left_alone(image: Path) -> None:
    release = node(image).release
    assert launch.parse(render("s", "green", release, 8000, 30)) == Node("green", release, log_group="/turnout/s/green")
    assert launch.parse("#!/bin/bash\necho hello\n") is None
    told = document("s", "green", release, 8000, 30)
    broken = of_document({**told, "boot": {"machine": "soon"}})
    cut = render("s", "green", release, 8000, 30).replace('packed = "', 'packed = "LRx4!')
    for text in (broken, cut):
        with pytest.raises(LaunchError, match="names no release"):
            launch.parse(text)
