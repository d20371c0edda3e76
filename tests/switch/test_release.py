"""Releases: what the digest covers, and what a manifest must not say."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from turnout_components.release import ReleaseError, load, parse, split_id

MANIFEST: dict[str, Any] = {
    "model": {"name": "m", "version": "1", "uri": "file:m.onnx", "sha256": "sha256:" + "a" * 64},
    "image": "repo/server@sha256:" + "b" * 64,
    "engine": {"name": "server", "flags": ["--threads=1"]},
}


def write(folder: Path, **changes: Any) -> Path:
    path = folder / "m-1.yaml"
    path.write_text(yaml.safe_dump({**MANIFEST, **changes}))
    return path


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({}, True),
        ({"provenance": {"git_commit": "abc", "seed": 3}}, True),
        ({"adapters": []}, True),
        ({"engine": {"name": "server", "flags": ["--threads=2"]}}, False),
        ({"engine": {"name": "server", "flags": ["--threads=1"], "env": {"A": "1"}}}, False),
        ({"prompt_version": "2"}, False),
        ({"image": "repo/server@sha256:" + "c" * 64}, False),
    ],
)
def test_the_digest_covers_what_decides_behaviour_and_nothing_else(tmp_path, changes, same):
    before = parse(write(tmp_path)).digest
    assert (parse(write(tmp_path, **changes)).digest == before) is same


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"image": "repo/server:latest"}, "image = 'repo/server:latest': name it by digest"),
        ({"imag": "x"}, "imag = 'x'"),
        ({"engine": {"name": "server", "flags": ["--a b"]}}, "engine.flags.0"),
        ({"engine": {"name": "server", "env": {"A": "$(reboot)"}}}, "engine.env.A"),
        ({"model": {**MANIFEST["model"], "sha256": "latest"}}, "model.sha256"),
    ],
)
def test_a_bad_manifest_is_refused_by_field(tmp_path, changes, words):
    with pytest.raises(ReleaseError, match=words.replace("(", r"\(").replace("$", r"\$")):
        parse(write(tmp_path, **changes))


def test_a_manifest_that_was_changed_after_it_was_named_is_refused(tmp_path):
    name = parse(write(tmp_path)).id
    assert load(tmp_path, name).id == name
    write(tmp_path, prompt_version="2")
    with pytest.raises(ReleaseError, match="releases are immutable"):
        load(tmp_path, name)
    with pytest.raises(ReleaseError, match="the folder holds: m-1"):
        load(tmp_path, name.replace("m-1", "m-2"))


@pytest.mark.parametrize("text", ["m-1", "m-1@latest", "m-1@sha256:abc", "m 1@sha256:" + "a" * 64, ""])
def test_an_id_without_digest_is_no_id(text):
    with pytest.raises(ReleaseError, match="names no digest"):
        split_id(text)


def test_a_manifest_that_is_no_yaml_names_its_line(tmp_path):
    (tmp_path / "broken.yaml").write_text("model:\n  name: [a\n")
    with pytest.raises(ReleaseError, match=r"broken\.yaml: not a release manifest: line 3, column 1: "):
        parse(tmp_path / "broken.yaml")


def test_a_manifest_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ReleaseError, match=r"bytes\.yaml: no manifest can be read: 'utf-8' codec"):
        parse(tmp_path / "bytes.yaml")


def test_what_a_manifest_leaves_unsaid_of_its_model_is_in_no_nodes_user_data(tmp_path):
    assert parse(write(tmp_path)).for_storage()["model"] == MANIFEST["model"]
    told = {**MANIFEST["model"], "size": 3, "format": "onnx", "inputs": {"x": "float[n,64]"}}
    assert parse(write(tmp_path, model=told)).for_storage()["model"] == told
