"""What a smoke set may say, and which answers it takes."""

import pickle
from pathlib import Path
from typing import Any

import pytest

from turnout.pipeline.formats import format_of
from turnout.pipeline.smoke_set import SmokeSetError, mismatch, read

CASES = "cases: [{body: 1, expect: 2}]"


@pytest.mark.parametrize(
    ("expected", "found", "fault"),
    [
        ({"digit": 7}, {"digit": 7, "release": "x"}, None),
        ({"digit": 7}, {"digit": 8}, "answer.digit is 8, expected 7"),
        ({"digit": 7}, {"digit": "7"}, "answer.digit is '7', expected 7"),
        ({"digit": 7}, {}, "answer has no digit"),
        ({"digit": 7}, [7], "answer is [7], not an object"),
        ({"ok": True}, {"ok": 1}, "answer.ok is 1, expected True"),
        ({"ok": 1}, {"ok": True}, "answer.ok is True, expected 1"),
        ({"a": [1, {"b": "x"}]}, {"a": [1, {"b": "y"}]}, "answer.a[1].b is 'y', expected 'x'"),
        ([1, 2], [1, 2, 3], "answer is [1, 2, 3], not a list of 2"),
        (0.5, 0.51, "answer is 0.51, expected 0.5"),
        ({"$near": 0.5, "$within": 0.02}, 0.51, None),
        ({"$near": 0.5, "$within": 0.02}, 0.53, "answer is 0.53, expected 0.5 within 0.02"),
        ({"$contains": "Paris"}, "It is Paris.", None),
        ({"$contains": "Paris"}, "It is Lyon.", "answer is 'It is Lyon.', expected 'Paris' in it"),
        ({"$contains": "7"}, 7, "answer is 7, expected '7' in it"),
        ({"$matches": "^[0-9]+$"}, "77", None),
        ({"$matches": "^[0-9]+$"}, "a", "answer is 'a', expected to match '^[0-9]+$'"),
        ({"$nearly": 1}, 1, "answer: {'$nearly': 1} is no expectation; write $near with $within, $contains or $matches"),
        (None, None, None),
        (None, 0, "answer is 0, expected None"),
    ],
)
def test_an_answer_is_compared(expected: Any, found: Any, fault: str | None) -> None:
    assert mismatch(expected, found) == fault


def test_a_tolerance_is_for_all_numbers() -> None:
    assert mismatch({"a": [0.5]}, {"a": [0.51]}, tolerance=0.02) is None
    assert mismatch({"a": [0.5]}, {"a": [float("nan")]}, tolerance=0.02) is not None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "no smoke set"),
        ("", "path: Field required"),
        ("path: /x", "cases: Field required"),
        ("path: /x\ncases: []", "cases: "),
        (f"path: x\n{CASES}", "path: "),
        (f"path: /x\n{CASES}\nlimits: {{memory: 4 GB}}", "limits.memory: Value error, write a number and MiB or GiB"),
        (f"path: /x\n{CASES}\nlimits: {{load: 3}}", "limits.load: 3: write a number and s, m, h or d"),
        (f"path: /x\n{CASES}\nright: 0", "right: "),
        (f"path: /x\n{CASES}\nretries: 3", "retries: Extra inputs are not permitted"),
        ("path: [", "no smoke set can be read"),
        (f'path: "/x\\0"\n{CASES}', "path: "),
        (f"path: /x\nmethod: G ET\n{CASES}", "method: "),
        ("path: /x\ncases: [{body: 2026-01-01, expect: 1}]", "cases.0.body: Value error, is sent as JSON"),
        ("path: /x\ncases: [{body: .nan, expect: 1}]", "cases.0.body: Value error, is sent as JSON"),
        (
            "path: /x\ncases: [{body: 1, expect: [{a: {$nearly: 1}}]}]",
            "cases.0.expect: Value error, {'$nearly': 1} is no expectation",
        ),
        ("path: /x\ncases: [{body: 1, expect: {$near: 1}}]", "cases.0.expect: Value error, {'$near': 1} is no expectation"),
        ('path: /x\ncases: [{body: 1, expect: {$matches: "("}}]', "cases.0.expect: Value error, $matches: '(' is no pattern"),
    ],
)
def test_a_smoke_set_that_cannot_be_used_is_refused_by_field(tmp_path: Path, text: str | None, said: str) -> None:
    path = tmp_path / "smoke.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(SmokeSetError) as refused:
        read(path)
    assert str(refused.value).startswith(f"{'' if text is None else path}{'' if text is None else ': '}{said}")


@pytest.mark.parametrize(
    ("name", "content", "format"),
    [
        ("m.gguf", b"GGUF\x03\x00", "gguf"),
        ("m.h5", b"\x89HDF\r\n\x1a\n", "hdf5"),
        ("m.safetensors", (2).to_bytes(8, "little") + b"{}", "safetensors"),
        ("m.onnx", b"\x08\x08", "onnx"),
        ("m.npy", b"\x93NUMPY\x01\x00v\x00{'descr': '<f4', }\n", "numpy"),
        ("config.json", b'{"a": 1}', "unknown"),
        ("notes.txt", b"N.", "unknown"),
        ("empty", b"", "unknown"),
    ],
)
def test_formats_are_told_by_their_bytes(tmp_path: Path, name: str, content: bytes, format: str) -> None:
    (tmp_path / name).write_bytes(content)
    assert format_of(tmp_path / name) == format


@pytest.mark.parametrize("protocol", range(6))
def test_a_large_pickle_is_found_too(tmp_path: Path, protocol: int) -> None:
    (tmp_path / "m.dat").write_bytes(pickle.dumps({"weights": [bytes(2**21), "a"]}, protocol=protocol))
    assert format_of(tmp_path / "m.dat") == "pickle"


def test_a_pickle_whose_end_is_damaged_is_one_where_it_says_so(tmp_path: Path) -> None:
    (tmp_path / "m.dat").write_bytes(pickle.dumps([1, 2, 3], protocol=2)[:-2])
    assert format_of(tmp_path / "m.dat") == "pickle"


def test_a_folder_is_what_its_files_are_and_one_pickle_is_enough(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "a.gguf").write_bytes(b"GGUF")
    assert format_of(tmp_path) == "gguf"
    (tmp_path / "optimizer.bin").write_bytes(b"\x80\x04N.")
    assert format_of(tmp_path) == "pickle"
