"""The step rule does on Kubernetes what it says: +2 and -1, by the autoscaler's documented algorithm."""

import itertools
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from horizontal_scaling import Autoscaler
from hypothesis import given, settings
from hypothesis import strategies as st
from turnout_components import workload_scaling as scalers

SCALING: dict[str, Any] = {
    "namespace": "assistant",
    "workload": "assistant-blue-1a2b3c4d",
    "minimum": 1,
    "maximum": 40,
    "prometheus": {"address": "http://prometheus:9090"},
}
LOOK = 15
"""Seconds between two looks ("--horizontal-pod-autoscaler-sync-period", kube-controller-manager)."""
VERDICTS = {"busy": float(scalers.MANY), "hold": 1.0, "idle": 0.0, "missing": None}


def autoscaler(replicas: int, **scaling: Any) -> Autoscaler:
    return Autoscaler(scalers.autoscaler({**SCALING, **scaling}), replicas)


def looks(scaler: Autoscaler, verdicts: list[str], start: int = 0) -> list[int]:
    return [scaler.tick(start + LOOK * number, [VERDICTS[verdict]]) for number, verdict in enumerate(verdicts)]


@settings(max_examples=60, deadline=None)
@given(replicas=st.integers(1, 40), ready=st.integers(1, 40))
def test_a_busy_workload_grows_by_two_at_its_next_look(replicas: int, ready: int) -> None:
    size = autoscaler(replicas).tick(0, [VERDICTS["busy"]], min(ready, replicas))
    assert size == min(replicas + 2, 40)


@settings(max_examples=60, deadline=None)
@given(replicas=st.integers(1, 40), ready=st.integers(0, 40))
def test_a_workload_that_is_neither_busy_nor_idle_keeps_its_size_whatever_is_ready(replicas: int, ready: int) -> None:
    scaler = autoscaler(replicas)
    assert {scaler.tick(LOOK * look, [VERDICTS["hold"]], min(ready, replicas)) for look in range(50)} == {replicas}


@settings(max_examples=60, deadline=None)
@given(replicas=st.integers(2, 40))
def test_five_idle_minutes_take_one_away_and_each_further_minute_another(replicas: int) -> None:
    sizes = looks(autoscaler(replicas, minimum=1), ["hold", *["idle"] * 60])
    minutes = [sizes[look] for look in range(0, 61, 4)]
    assert minutes[:5] == [replicas] * 5
    assert minutes[5:] == [max(1, replicas - gone) for gone in range(1, len(minutes) - 4)]


def test_one_busy_minute_begins_the_five_anew() -> None:
    scaler = autoscaler(10)
    assert set(looks(scaler, ["hold", *["idle"] * 18, "hold", *["idle"] * 19])) == {10}


def test_growth_waits_for_the_warm_up() -> None:
    assert looks(autoscaler(4, warmup=120), ["busy"] * 17) == [6] * 8 + [8] * 8 + [10]


@settings(max_examples=60, deadline=None)
@given(verdicts=st.lists(st.sampled_from(["idle", "missing"]), max_size=120))
def test_where_metrics_are_missing_nothing_changes_at_that_look(verdicts: list[str]) -> None:
    scaler = autoscaler(20)
    sizes = [20, *looks(scaler, verdicts)]
    assert all(sizes[look] == sizes[look + 1] for look, verdict in enumerate(verdicts) if verdict == "missing")


@settings(max_examples=60, deadline=None)
@given(verdicts=st.lists(st.sampled_from(list(VERDICTS)), max_size=160), replicas=st.integers(3, 12))
def test_whatever_the_load_it_grows_gradually_shrinks_slowly_and_keeps_its_floor(verdicts: list[str], replicas: int) -> None:
    sizes = [replicas, *looks(autoscaler(replicas, minimum=3, maximum=12), verdicts)]
    assert all(3 <= size <= 12 for size in sizes)
    minute = 60 // LOOK
    for look, (before, after) in enumerate(itertools.pairwise(sizes)):
        earlier = sizes[max(0, look + 1 - minute) : look + 1]
        if after > before:
            assert verdicts[look] == "busy"
            assert after <= max(earlier) + 2
        if after < before:
            assert after >= before - 1
            assert len({*sizes[max(0, look + 1 - minute) : look + 1]}) == 1
            assert "busy" not in verdicts[max(0, look - 19) : look + 1]
            assert "hold" not in verdicts[max(0, look - 19) : look + 1]


def test_target_tracking_grows_by_half_and_shrinks_by_one_when_all_agree() -> None:
    tracked = {"queue_length": 4.0, "gpu_utilization": 70}
    scaler = autoscaler(10, target_tracking=tracked)
    assert scaler.tick(0, [400.0, 1.0]) == 15
    assert scaler.tick(15, [400.0, 1.0]) == 15
    assert scaler.tick(60, [400.0, 1.0]) == 23
    assert {scaler.tick(60 + look * LOOK, [0.0, 23 * 70.0]) for look in range(1, 60)} == {23}
    sizes = [scaler.tick(1000 + look * LOOK, [0.0, 0.0]) for look in range(41)]
    assert (sizes[0], sizes[40]) == (23, 17)


def test_without_load_rules_of_ones_own_the_documents_rule_holds() -> None:
    assert scalers.demand(SCALING) == (
        '1 - ((sum(avg_over_time({__name__=~"vllm:num_requests_waiting|llamacpp:requests_deferred|turnout_requests_waiting",'
        'namespace="assistant",pod=~"assistant-blue-1a2b3c4d-[a-z0-9]+-[a-z0-9]+"}[1m]))) < bool 1) * '
        '((avg(avg_over_time({__name__=~"DCGM_FI_DEV_GPU_UTIL",namespace="assistant",'
        'pod=~"assistant-blue-1a2b3c4d-[a-z0-9]+-[a-z0-9]+"}[1m]))) < bool 30) + 999 * clamp_max('
        '((sum(avg_over_time({__name__=~"vllm:num_requests_waiting|llamacpp:requests_deferred|turnout_requests_waiting",'
        'namespace="assistant",pod=~"assistant-blue-1a2b3c4d-[a-z0-9]+-[a-z0-9]+"}[1m]))) > bool 50) + '
        '((avg(avg_over_time({__name__=~"DCGM_FI_DEV_GPU_UTIL",namespace="assistant",'
        'pod=~"assistant-blue-1a2b3c4d-[a-z0-9]+-[a-z0-9]+"}[1m]))) > bool 80), 1)'
    )


@pytest.mark.parametrize(
    ("kind", "own", "others"),
    [
        (
            "Deployment",
            ["a-blue-1a2b3c4d-5d8f7c9b6-x2x9z"],
            ["a-blue-1a2b3c4d-x-5d8f7c9b6-x2x9z", "b-a-blue-1a2b3c4d-5d8-x2x9z"],
        ),
        ("LeaderWorkerSet", ["a-blue-1a2b3c4d-0", "a-blue-1a2b3c4d-12-3"], ["a-blue-1a2b3c4d-x-0", "a-blue-1a2b3c4d-0-1-2"]),
    ],
)
def test_the_queries_are_about_the_workloads_own_pods(kind: str, own: list[str], others: list[str]) -> None:
    query = scalers.queries({**SCALING, "kind": kind, "workload": "a-blue-1a2b3c4d"})["gpu"]
    (pods,) = re.findall(r'pod=~"(.*?)"', query)
    assert all(re.fullmatch(pods, name) for name in own)
    assert not any(re.fullmatch(pods, name) for name in others)


PROMTOOL = shutil.which("promtool")
POD = 'namespace="assistant",pod="assistant-blue-1a2b3c4d-5d8f7c9b6-{}"'


@pytest.mark.skipif(PROMTOOL is None, reason="install prometheus")
@pytest.mark.parametrize(
    ("waiting", "gpu", "verdict"),
    [
        ((30, 21), (50, 50), scalers.MANY),
        ((25, 25), (50, 50), 1),
        ((0, 0), (90, 71), scalers.MANY),
        ((0, 0), (90, 70), 1),
        ((40, 40), (99, 99), scalers.MANY),
        ((0, 0), (10, 49), 0),
        ((0, 0), (30, 30), 1),
        ((1, 0), (10, 10), 1),
        ((0, 0), None, None),
        (None, (10, 10), None),
        (None, (90, 90), None),
    ],
)
def test_prometheus_says_busy_idle_neither_or_nothing(
    tmp_path: Path, waiting: tuple[int, int] | None, gpu: tuple[int, int] | None, verdict: int | None
) -> None:
    series = [
        {"series": f"{name}{{{POD.format(pod)}}}", "values": f"{value}x10"}
        for name, values in (("vllm:num_requests_waiting", waiting), ("DCGM_FI_DEV_GPU_UTIL", gpu))
        for pod, value in zip(("aaaaa", "bbbbb"), values or (), strict=False)
    ]
    others = POD.format("ccccc").replace("assistant-blue", "assistant-green")
    series += [
        {"series": f"{name}{{{others}}}", "values": "999x10"} for name in ("vllm:num_requests_waiting", "DCGM_FI_DEV_GPU_UTIL")
    ]
    wanted = [{"labels": "{}", "value": verdict}] if verdict is not None else []
    asked = [{"expr": scalers.demand(SCALING), "eval_time": "5m", "exp_samples": wanted}]
    case = {"rule_files": [], "tests": [{"interval": "30s", "input_series": series, "promql_expr_test": asked}]}
    (tmp_path / "case.yaml").write_text(yaml.safe_dump(case))
    found = subprocess.run(
        [str(PROMTOOL), "test", "rules", str(tmp_path / "case.yaml")], capture_output=True, text=True, timeout=60
    )
    assert found.returncode == 0, found.stdout + found.stderr
