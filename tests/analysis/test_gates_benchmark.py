"""The simulation behind the figures, and the figures of a tiny run."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import gates
from benchmarks.gates_baselines import NEVER, argo, seeds, served, watch
from benchmarks.gates_cases import COMPARED, NULLS, REGRESSIONS
from benchmarks.gates_rollouts import FAILED, PROMOTED, UNDECIDED, simulate
from benchmarks.gates_world import Case, World


def test_windows_hold_what_the_case_says() -> None:
    world = World(Case("x", 100, 0.02, effect=3, slower=1.5), 400, 1)
    seen = world.look(np.zeros(400, int), np.full(400, 25))
    assert seen.total[0].mean() == pytest.approx(1500, rel=0.01)
    assert seen.errors[0].sum() / seen.total[0].sum() == pytest.approx(0.06, rel=0.03)
    assert seen.errors[1].sum() / seen.total[1].sum() == pytest.approx(0.02, rel=0.03)
    assert seen.slow[1].sum() / seen.total[1].sum() == pytest.approx(0.0222, rel=0.05)
    assert np.median(seen.p95[0] / seen.p95[1]) == pytest.approx(1.5, rel=0.01)


def test_percentile_and_count_are_of_the_same_latencies() -> None:
    world = World(Case("x", 2, slower=1.2), 400, 1)
    seen = world.look(np.zeros(400, int), np.full(400, 50))
    threshold = 1.2 * np.exp(0.5 * 1.6449)
    for p95, slow, n in zip(seen.p95, seen.slow, seen.total, strict=True):
        above = p95 > threshold
        assert (slow[above] >= n[above] - np.ceil(0.95 * n[above]) + 1).all()
        assert (slow[~above] <= n[~above] - np.ceil(0.95 * n[~above])).all()


def test_good_releases_are_promoted_and_bad_ones_taken_back() -> None:
    good = simulate(Case("good", 100, 0.01), 200, 1)
    assert good.share(PROMOTED) > 0.95
    assert good.share(FAILED) <= 0.01
    assert set(good.minutes[good.how == PROMOTED]) <= set(range(25, 60))
    bad = simulate(Case("bad", 100, 0.01, effect=3), 200, 1)
    assert bad.share(FAILED) > 0.99
    assert bad.bad[0].mean() < good.bad[0].mean() / 5


def test_without_traffic_nobody_is_promoted() -> None:
    ended = simulate(Case("none", 0.01, 0.01), 50, 1)
    assert ended.share(UNDECIDED) == 1
    assert set(ended.step) == {0}


def test_a_rollback_ends_what_users_get() -> None:
    path = watch(Case("bad", 10, 0.05, effect=3), 50, 1)
    early, late, never = (served(path, np.full(50, minutes), 0) for minutes in (1, 15, NEVER))
    assert (early <= late).all()
    assert (late < never).all()


def test_a_wider_margin_or_limit_never_rolls_back_earlier() -> None:
    path = watch(Case("bad", 10, 0.05, effect=2), 50, 1)
    narrow, wide = (dict(seeds(path))[f"every minute, margins x {scale}"] for scale in (1, 4))
    assert (narrow <= wide).all()
    once, thrice = (dict(argo(path))[f"failureLimit {limit}, margins x 1"] for limit in (0, 2))
    assert (once < thrice).any()
    assert (once <= thrice).all()


@pytest.mark.parametrize("services", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_the_benchmark_prints_and_writes_its_figures(
    services: int, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gates, "QUICK_SERVICES", gates.QUICK_SERVICES[-services:])
    assert gates.main(["--quick", "--rollouts", "30", "--seed", "2", "--json", str(tmp_path / "x.json")]) == 0
    printed = capsys.readouterr().out
    assert "Taken back though no worse" in printed
    written = json.loads((tmp_path / "x.json").read_text())
    assert (written["seed"], written["rollouts"]) == (2, 30)
    assert len(written["services"]) == services
    for service in written["services"]:
        assert set(NULLS) <= set(service["nulls"])
        assert set(service["regressions"]) == set(REGRESSIONS)
        assert all(set(service["bad"][name]) == {"ours", "seeds", "argo", "kayenta"} for name in COMPARED)
    false = next(row for row in written["targets"] if row["figure"].startswith("false rollbacks"))
    assert float(false["worst"].split()[0]) <= 5
