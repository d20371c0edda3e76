"""The example's releases: manifests that fit their content, and models as good as the README says."""

import hashlib
import re
from pathlib import Path

import numpy as np
import pytest
from turnout_components import release

from examples.digits import releases
from examples.digits.server import Classifier
from examples.manifests import release_ids

DIGITS = releases.FOLDER
README = (DIGITS / "README.md").read_text()
VERSIONS = ("1.0.0", "2.0.0", "4.0.0")


def accuracy(model: Path) -> float:
    classifier = Classifier(model)
    with np.load(DIGITS / "heldout.npz") as data:
        return float(
            np.mean([classifier.digit(image) == label for image, label in zip(data["images"], data["labels"], strict=True)])
        )


def documented(version: str) -> float:
    row = re.search(rf"^\| {re.escape(version)}\S* .*\| ([\d.]+) % \|", README, re.MULTILINE)
    assert row is not None, version
    return float(row[1]) / 100


def test_the_committed_manifests_are_what_the_command_would_write() -> None:
    committed = {path.stem: path.read_text() for path in (DIGITS / "releases").glob("*.yaml")}
    assert committed == releases.manifests(), "run: python -m examples.digits.releases"


def test_every_manifest_loads_by_its_id_and_names_the_model_by_its_hash() -> None:
    for name, release_id in release_ids(releases.manifests()).items():
        loaded = release.load(DIGITS / "releases", release_id)
        model = DIGITS / loaded.model.uri.removeprefix("file:")
        assert loaded.model.sha256 == "sha256:" + hashlib.sha256(model.read_bytes()).hexdigest(), name


def test_the_four_releases_have_four_digests() -> None:
    assert len({i.partition("@")[2] for i in release_ids(releases.manifests()).values()}) == 4


def test_a_changed_server_is_another_image(tmp_path: Path) -> None:
    for name in ("image.toml", "server.py"):
        (tmp_path / name).write_bytes((DIGITS / name).read_bytes())
    (tmp_path / "models").symlink_to(DIGITS / "models")
    assert releases.manifests(tmp_path) == releases.manifests()
    (tmp_path / "server.py").write_text("# changed")
    assert releases.manifests(tmp_path) != releases.manifests()


def test_2_is_better_than_1_and_4_is_clearly_worse_than_both() -> None:
    one, two, four = (accuracy(DIGITS / "models" / f"{version}.onnx") for version in VERSIONS)
    assert two > one + 0.02
    assert four < one - 0.1
    for version, measured in zip(VERSIONS, (one, two, four), strict=True):
        assert measured == pytest.approx(documented(version), abs=0.0006)


def test_training_again_gives_models_as_good(tmp_path: Path) -> None:
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    pytest.importorskip("onnx", reason="onnx is not installed")
    from examples.digits import train

    train.train(tmp_path)
    for version in VERSIONS:
        assert accuracy(tmp_path / "models" / f"{version}.onnx") == pytest.approx(documented(version), abs=0.01)
    with np.load(tmp_path / "heldout.npz") as new, np.load(DIGITS / "heldout.npz") as old:
        assert all(np.array_equal(new[key], old[key]) for key in ("images", "labels"))
