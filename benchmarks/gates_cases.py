"""The cases of `benchmarks.gates`, and what becomes of one service in all of them."""

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import numpy as np

from benchmarks import gates_baselines as baselines
from benchmarks.gates_rollouts import (
    BAKE,
    DEADLINE,
    ERRORS,
    FAILED,
    LAST_BAKE,
    LATENCY,
    PROMOTED,
    QUALITY,
    UNDECIDED,
    WEIGHTS,
    Ended,
    simulate,
)
from benchmarks.gates_world import GOOD, SCORED, Case
from turnout.analysis.budget import Line, Stage, Usual, information_budget

SERVICES = tuple((rps, error) for rps in (1.0, 10.0, 100.0, 1000.0) for error in (0.001, 0.01, 0.05))
NULLS: dict[str, dict[str, Any]] = {
    "plain": {},
    "better": {"effect": 0.5, "slower": 0.9},
    "shared noise": {"common": 0.3},
    "own noise": {"own": 0.1},
    "diurnal": {"wave": 0.5},
    "blip of both": {"blip": "both"},
    "blip of one": {"blip": "candidate"},
    "all of it": {"common": 0.3, "own": 0.1, "wave": 0.5, "blip": "candidate"},
    "with quality": {"quality": True},
}
"""Worlds in which the candidate is no worse than the active."""
STRESS: dict[str, dict[str, Any]] = {"own noise x2": {"own": 0.2}}
"""No worse either, but with more noise of its own than is granted: reported, not promised."""
REGRESSIONS: dict[str, dict[str, Any]] = {
    "errors x1.25": {"effect": 1.25},
    "errors x1.5": {"effect": 1.5},
    "errors x2": {"effect": 2.0},
    "errors x3": {"effect": 3.0},
    "errors x5": {"effect": 5.0},
    "errors x2, late": {"effect": 2.0, "since": 7},
    "errors x2, noise": {"effect": 2.0, "common": 0.3, "own": 0.1},
    "latency x1.1": {"slower": 1.1},
    "latency x1.5": {"slower": 1.5},
    "latency x2": {"slower": 2.0},
    "quality -0.01": {"quality": True, "worse": 0.01},
    "quality -0.04": {"quality": True, "worse": 0.04},
    "quality -0.08": {"quality": True, "worse": 0.08},
}
BELOW_MARGIN = ("errors x1.25", "errors x1.5", "latency x1.1", "quality -0.01")
"""Effects up to the margin: whatever is decided is reported, none of it is a miss."""
COMPARED = ("errors x2", "errors x3", "errors x5", "errors x2, late", "errors x2, noise", "latency x1.5", "latency x2")
LEAST_FALSE = 0.001
"""Baselines may be as often wrong as we are, or this often if we are less: fewer cannot be told from none."""
KINDS = {"errors": 0, "latency": 1, "quality": 2}


@dataclass
class Service:
    """Figures of one service: shares by case, minutes until the rollback, and bad answers by case and judge."""

    rps: float
    error: float
    nulls: dict[str, dict[str, float]] = field(default_factory=dict)
    regressions: dict[str, dict[str, float]] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    bad: dict[str, dict[str, float]] = field(default_factory=dict)
    suffices: bool = False
    suffices_quality: bool = False
    sees: float | None = None

    @property
    def name(self) -> str:
        return f"{self.rps:g} rps, {100 * self.error:g} %"


def budget(rps: float, error: float, quality: bool) -> tuple[Line, ...]:
    """What `turnout` prints before such a rollout."""
    minute = timedelta(minutes=1)
    stages = [Stage(weight, minute * (LAST_BAKE if weight == 100 else BAKE), minute * DEADLINE) for weight in WEIGHTS]
    gates = [(ERRORS, Usual(error, rps)), (LATENCY, Usual(0.0222, rps))]
    if quality:
        gates.append((QUALITY, Usual(GOOD, rps * SCORED, (GOOD * (1 - GOOD)) ** 0.5)))
    return information_budget(gates, stages, minute, len(gates))


def study(rps: float, error: float, rollouts: int, seed: int, tune: bool = True) -> Service:
    """Roll out in every case, with our gates and with the others' judges at as many false alarms."""
    made = Service(rps, error)
    lines = budget(rps, error, quality=True)
    plain = [line for line in lines if line.gate != "quality"]
    made.suffices = all(line.suffices for line in plain)
    made.suffices_quality = made.suffices and all(line.suffices for line in lines)
    seen = [line.smallest for line in plain if line.gate == "errors" and line.weight < 100 and line.smallest]
    made.sees = min(seen, default=None)
    base = Case("", rps, error)
    for name, world in (NULLS | STRESS).items():
        made.nulls[name] = _shares(simulate(replace(base, name=name, **world), rollouts, seed))
    ended = {name: simulate(replace(base, name=name, **world), rollouts, seed) for name, world in REGRESSIONS.items()}
    made.regressions = {name: _shares(end) for name, end in ended.items()}
    for name in COMPARED:
        made.bad[name] = {"ours": float(ended[name].bad[KINDS[name.split()[0]]].mean())}
    if tune:
        _tune(made, base, rollouts, seed)
    return made


def _shares(ended: Ended) -> dict[str, float]:
    taken_back = ended.minutes[ended.how == FAILED]
    return {
        "back": ended.share(FAILED),
        "promoted": ended.share(PROMOTED),
        "undecided": ended.share(UNDECIDED),
        "minutes": float(np.median(taken_back)) if len(taken_back) else float("nan"),
    }


def _tune(made: Service, base: Case, rollouts: int, seed: int) -> None:
    """Of each baseline the setting with the fewest bad answers (as a share of ours, on average over the cases) among those
    that take good releases back no more often than we do, over all worlds together."""
    worlds = {name: world for name, world in NULLS.items() if not world.get("quality")}
    target = max(float(np.mean([made.nulls[name]["back"] for name in worlds])), LEAST_FALSE)
    judges = (baselines.seeds, baselines.argo, baselines.kayenta)
    false: dict[tuple[str, str], float] = {}
    bad: dict[tuple[str, str], dict[str, float]] = {}
    for name, world in worlds.items():
        path = baselines.watch(replace(base, name=name, **world), rollouts, seed)
        for judge in judges:
            for setting, minutes in judge(path):
                key = judge.__name__, setting
                false[key] = false.get(key, 0.0) + float((minutes < baselines.NEVER).mean()) / len(worlds)
    for name in COMPARED:
        path = baselines.watch(replace(base, name=name, **REGRESSIONS[name]), rollouts, seed)
        for judge in judges:
            for setting, minutes in judge(path):
                answers = baselines.served(path, minutes, KINDS[name.split()[0]])
                bad.setdefault((judge.__name__, setting), {})[name] = float(answers.mean())
    ours = {name: max(made.bad[name]["ours"], 1e-9) for name in COMPARED}
    for judge in judges:
        allowed = [key for key, share in false.items() if key[0] == judge.__name__ and share <= target]
        best = min(allowed, key=lambda key: sum(bad[key][name] / ours[name] for name in COMPARED))
        made.settings[judge.__name__] = best[1]
        for name in COMPARED:
            made.bad[name][judge.__name__] = bad[best][name]
