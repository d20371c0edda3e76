"""The comparison with Argo Rollouts: whose calls are counted, what runs come to, and what is said without its build."""

import json
import sys
from pathlib import Path

import pytest

from benchmarks import argo_rollouts
from benchmarks.argo_rollouts_calls import Call, Run, calls, counted, row
from benchmarks.argo_rollouts_sides import analysis, rollout


def line(verb: str, at: str, user: str = "argo", stage: str = "ResponseComplete") -> str:
    event = {"stage": stage, "verb": verb, "user": {"username": user}, "requestReceivedTimestamp": at, "auditID": "1"}
    return json.dumps(event) + "\n"


def test_calls_are_read_from_the_log_but_for_streams_other_stages_and_what_is_being_written() -> None:
    log = [
        line("get", "1970-01-01T00:00:01.250000Z"),
        line("watch", "1970-01-01T00:00:02.000000Z"),
        line("get", "1970-01-01T00:00:03.000000Z", stage="RequestReceived"),
        line("patch", "1970-01-01T00:00:04.000000Z", user="turnout"),
        line("patch", "1970-01-01T00:00:05.000000Z")[:40],
    ]
    assert calls(log) == [Call(1.25, "argo", "get"), Call(4.0, "turnout", "patch")]


def test_reads_and_writes_are_counted_of_one_user_between_two_moments() -> None:
    made = [
        Call(at, "argo", verb) for at, verb in ((1, "get"), (2, "list"), (2, "patch"), (3, "create"), (3, "update"), (4, "get"))
    ]
    assert counted([*made, Call(2, "turnout", "get")], "argo", 2, 3) == (1, 3)
    assert counted(made, "nobody", 0, 9) == (0, 0)


def test_a_row_has_the_medians_of_its_runs() -> None:
    runs = [
        Run(0, 20, 10, 10.1, reads=100, writes=10, bad=5, last_bad=100),
        Run(0, 30, 10, 10.3, reads=200, writes=20, bad=9, last_bad=-50),
        Run(0, 99, 10, 19.0, reads=0, writes=12, bad=6, last_bad=300),
    ]
    assert row("us", "bad", runs) == {
        "side": "us",
        "release": "bad",
        "runs": 3,
        "verdict → weights, s": 0.3,
        "verdict → last request to the bad one, s": 0.1,
        "rollout, s": 30,
        "bad answers": 6,
        "API calls": 110,
        "writes": 12,
    }


def test_a_good_release_has_no_last_request() -> None:
    assert row("us", "good", [Run(0, 20, 10, 10.1)])["verdict → last request to the bad one, s"] is None


def test_argo_is_asked_for_the_weights_and_the_share_that_turnout_is() -> None:
    pods = {"metadata": {"labels": {"a": "b"}, "annotations": {}}, "spec": {"containers": []}}
    made = rollout("digits", pods, "digits-2.0.0@sha256:12")
    canary = made["spec"]["strategy"]["canary"]
    assert [step["setWeight"] for step in canary["steps"] if "setWeight" in step] == list(argo_rollouts.STEPS)
    assert canary["steps"][1]["analysis"]["args"] == [{"name": "release", "value": "sha256:12"}]
    labels = made["spec"]["template"]["metadata"]["labels"]
    assert made["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert labels["a"] == "b"
    (metric,) = analysis("digits", "http://127.0.0.1:1")["spec"]["metrics"]
    assert metric["successCondition"] == "result[0] <= 0.01"
    assert 'release="{{args.release}}"' in metric["provider"]["prometheus"]["query"]


def test_without_a_build_it_says_what_to_build_and_ends_with_3(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("ARGO_ROLLOUTS", raising=False)
    monkeypatch.setattr(sys, "argv", ["argo_rollouts"])
    assert argo_rollouts.main() == argo_rollouts.NOT_INSTALLED == 3
    said = capsys.readouterr()
    assert "python -m tools.kubernetes argo-rollouts" in said.err
    assert said.out == ""
