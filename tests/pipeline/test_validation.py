"""A release is proven by its own server within limits; each way to be broken is told, and loads nothing that it should not."""

import pickle
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import yaml
from pydantic import ValidationError
from turnout_components.artifact import LocalFiles

from tests.pipeline.conftest import PROVENANCE, SMOKE, Folder, Make
from turnout.pipeline.smoke_set import SmokeSet
from turnout.pipeline.validate import Subject, Validation, validate


def validated(folder: Folder, tmp_path: Path, **smoke: Any) -> Validation:
    wanted = SmokeSet.model_validate({**SMOKE, **smoke})
    work = tmp_path / "work"
    work.mkdir(exist_ok=True)
    return validate(Subject(folder.release, LocalFiles(folder.path), folder.image, wanted, folder.path), work)


def refused(found: Validation) -> tuple[str, str]:
    """The check that failed, which was the last, and what it said."""
    (fault,) = [check for check in found.checks if not check.passed]
    assert fault == found.checks[-1]
    return fault.check, fault.said


def test_a_sound_release_is_proven_with_figures(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not for models")
    monkeypatch.setenv("GITHUB_TOKEN", "not for models")
    cases = [*SMOKE["cases"], {"body": {"upper": False}, "expect": {"environ": []}}]
    found = validated(make(), tmp_path, cases=cases, rounds=3)
    assert found.sound, found.checks
    assert [check.check for check in found.checks] == ["provenance", "files", "format", "load", "smoke"]
    figures = found.figures
    assert (figures.asked, figures.failed, figures.wrong) == (9, 0, 0)
    assert 0 < figures.load_seconds < 5
    assert 5 * 2**20 < figures.peak_memory < 100 * 2**20
    assert 0 < figures.p50_ms <= figures.p95_ms < 1000
    assert found.model == {"size": 7, "format": "unknown"}


@pytest.mark.parametrize(
    ("mode", "check", "said"),
    [
        ("exits", "load", "the server ended with status 1: no such layer: block.7"),
        ("hangs", "load", "not ready within 1s (/ready: nothing listens) and was ended"),
        ("never-ready", "load", "not ready within 1s (/ready: it answers 503) and was ended"),
        ("hoards", "load", "the server took more than 100 MiB of memory and was ended"),
        ("dies", "smoke", "case 1: the server ended with status 7: out of �[31mideas"),
        ("swells", "smoke", "case 1: the server took more than 100 MiB of memory and was ended"),
        ("sleeps", "smoke", "2 of 2 requests failed: case 1: no answer within 1 s"),
        ("drips", "smoke", "2 of 2 requests failed: case 1: no answer within 1 s"),
        ("drips-ready", "load", "not ready within 1s (/ready: no answer within 1 s) and was ended"),
        ("floods", "smoke", "2 of 2 requests failed: case 1: an answer of more than 16 MiB"),
        ("zips", "smoke", "2 of 2 requests failed: case 1: DecodingError"),
        ("nests", "smoke", "0 of 2 right, p50 "),
        ("counts", "smoke", "0 of 2 right, p50 "),
        ("not-a-number", "smoke", "0 of 2 right, p50 "),
        ("fails", "smoke", "2 of 2 requests failed: case 1: answered 500, not 200"),
    ],
)
def test_a_server_that_fails_is_told_from_one_that_serves(make: Make, tmp_path: Path, mode: str, check: str, said: str) -> None:
    load = "1s" if mode in ("hangs", "never-ready", "drips-ready") else "10s"
    request = "1s" if mode in ("sleeps", "drips") else "10s"
    found = validated(make(mode), tmp_path, limits={**SMOKE["limits"], "load": load, "request": request})
    name, text = refused(found)
    assert (name, text[: len(said)]) == (check, said)
    here = [one for one in psutil.process_iter(["cmdline"]) if f"--{mode}" in (one.info["cmdline"] or ())]
    assert not here


@pytest.mark.parametrize("mode", ["sheds", "demon"])
def test_a_child_of_the_server_ends_with_it(make: Make, tmp_path: Path, mode: str) -> None:
    folder = make(mode)
    assert validated(folder, tmp_path).sound
    pid = int((folder.path / "child").read_text())
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_wrong_answers_count_up_to_what_the_smoke_set_allows(make: Make, tmp_path: Path) -> None:
    cases = [*SMOKE["cases"], {"body": {"upper": True}, "expect": {"text": "ANOTHER"}}]
    check, said = refused(validated(make(), tmp_path, cases=cases))
    assert check == "smoke"
    assert said.startswith("2 of 3 right")
    assert said.endswith("at least 100% must be; case 3: answer.text is 'A MODEL', expected 'ANOTHER'")
    allowed = validated(make(), tmp_path, cases=cases, right=0.6)
    assert allowed.sound
    assert allowed.figures.wrong == 1


@pytest.mark.parametrize(
    ("changes", "check", "said"),
    [
        ({"content": b"", "sha256": 64 * "a"}, "files", "the release says sha256:aaaaaaaa"),
        ({"model": {"uri": "file:gone.onnx"}}, "files", "there is no file"),
        ({"model": {"uri": "file:../secret"}}, "files", "file:../secret leads out of its folder"),
        ({"model": {"uri": "package:turnout/%2e%2e/x"}}, "files", "package:turnout/%2e%2e/x leads out of its folder"),
        ({"model": {"size": 8}}, "files", "file:model.txt has 7 bytes, the manifest says 8; nothing was loaded"),
        ({"model": {"format": "onnx"}}, "format", "file:model.txt is unknown, the manifest says onnx; nothing was loaded"),
        ({"model": {"inputs": {"x": "float[1]"}}}, "inputs", "of unknown inputs cannot be read; leave model.inputs out"),
        ({"name": "m.onnx", "content": b"\x08\x07"}, "inputs", "the model cannot be read: ended with status 1: "),
    ],
)
def test_an_artifact_that_is_not_what_the_manifest_says_is_never_loaded(
    make: Make, tmp_path: Path, changes: dict[str, Any], check: str, said: str
) -> None:
    found = validated(make("exits", **changes), tmp_path)
    name, text = refused(found)
    assert name == check
    assert said in text


def test_a_damaged_file_is_told_with_both_hashes(make: Make, tmp_path: Path) -> None:
    folder = make()
    (folder.path / "model.txt").write_bytes(b"a modem")
    check, said = refused(validated(folder, tmp_path))
    assert check == "files"
    assert said.count("sha256:") == 2


@pytest.mark.parametrize(
    ("origin", "said"),
    [
        ({}, "the manifest has no provenance.git_commit, training_data, seed"),
        ({"git_commit": "c0ffee", "training_data": "poems"}, "the manifest has no provenance.seed"),
        (
            {"git_commit": "c0ffee+dirty", "training_data": "poems", "seed": 1},
            "c0ffee+dirty: made from files that no commit has",
        ),
    ],
)
def test_a_release_without_its_origin_is_refused_beside_what_else_is_found(
    make: Make, tmp_path: Path, origin: dict[str, Any], said: str
) -> None:
    found = validated(make(provenance=origin), tmp_path)
    assert (found.checks[0].check, found.checks[0].passed) == ("provenance", False)
    assert found.checks[0].said.startswith(said)
    assert all(check.passed for check in found.checks[1:])
    assert not found.sound


def test_provenance_is_waived_with_a_reason_and_nothing_else_is(make: Make, tmp_path: Path) -> None:
    found = validated(make(provenance={"git_commit": "c0ffee"}), tmp_path, waive={"provenance": "trained by its maker"})
    assert found.sound
    assert found.checks[0].said == "waived: trained by its maker (the manifest has no training_data, seed)"
    dirty = validated(make(provenance={**PROVENANCE, "git_commit": "c0ffee+dirty"}), tmp_path, waive={"provenance": "so"})
    assert not dirty.sound
    for waive in ({"format": "why"}, {"provenance": ""}):
        with pytest.raises(ValidationError):
            SmokeSet.model_validate({**SMOKE, "waive": waive})


class Bomb:
    """Would leave a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def torch_archive(content: bytes) -> bytes:
    held = BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr("model/data.pkl", content)
    return held.getvalue()


def object_array(bomb: Bomb) -> bytes:
    held = BytesIO()
    np.save(held, np.array([bomb], dtype=object), allow_pickle=True)
    return held.getvalue()


@pytest.mark.parametrize(
    ("name", "kind"),
    [("m.bin", "2"), ("m.onnx", "5"), ("m.txt", "0"), ("m.dat", "1"), ("m.pt", "zip"), ("m.npy", "npy"), ("m.joblib", "name")],
)
def test_a_pickle_is_found_whatever_it_is_called_and_never_loaded(make: Make, tmp_path: Path, name: str, kind: str) -> None:
    bomb = Bomb(tmp_path / "went-off")
    content = {
        "zip": lambda: torch_archive(pickle.dumps(bomb)),
        "npy": lambda: object_array(bomb),
        "name": lambda: b"compressed",
    }.get(kind, lambda: pickle.dumps(bomb, protocol=int(kind)))()
    check, said = refused(validated(make("exits", content=content, name=name), tmp_path))
    assert check == "format"
    assert said.startswith(f"file:{name} holds a pickle and was not loaded: to load a pickle is to run the code in it")
    assert not bomb.path.exists()
    named = validated(make("exits", content=content, name=name, model={"format": "pickle"}), tmp_path)
    assert [check.said for check in named.checks if check.check == "format"] == [
        "pickle: loading it runs the code in it, which the manifest accepts by name"
    ]
    assert refused(named)[0] == "load"


def test_inputs_of_an_onnx_model_are_compared(make: Make, tmp_path: Path) -> None:
    onnx = (Path(__file__).parents[2] / "examples/digits/models/1.0.0.onnx").read_bytes()
    says = {"format": "onnx", "size": len(onnx)}
    right = validated(make("exits", onnx, "m.onnx", model={**says, "inputs": {"image": "float[n,64]"}}), tmp_path)
    assert [check.said for check in right.checks if check.check == "inputs"] == ["image float[n,64]"]
    wrong = validated(make("exits", onnx, "m.onnx", model={**says, "inputs": {"image": "float[n,784]"}}), tmp_path)
    assert refused(wrong) == ("inputs", "the model takes image float[n,64], the manifest says image float[n,784]")


@pytest.mark.parametrize(("example", "cases"), [("digits", 10), ("llm", 3)])
def test_the_smoke_sets_of_the_examples_are_some(example: str, cases: int) -> None:
    path = Path(__file__).parents[2] / "examples" / example / "smoke.yaml"
    assert len(SmokeSet.model_validate(yaml.safe_load(path.read_text())).cases) == cases
