"""How often the gates are wrong, and what a bad release costs until they see it, beside what others judge by.

    python -m benchmarks.gates --seed 1 [--rollouts 2000] [--quick] [--json FILE]

Rollouts are simulated (benchmarks/gates_world.py) and judged by the code of turnout/analysis; docs/gates.md explains the
tables.
"""

import json
import math
import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from functools import partial

from benchmarks.common import Row, parser, show
from benchmarks.gates_cases import BELOW_MARGIN, COMPARED, NULLS, REGRESSIONS, SERVICES, STRESS, Service, study

QUICK_SERVICES = ((10.0, 0.05), (1000.0, 0.01))
FALSE_AT_MOST, MISSED_AT_MOST, GOOD_LOST_AT_MOST, AIM = 0.01, 0.01, 0.05, 0.5
OTHERS = ("seeds", "argo", "kayenta")


def main(arguments: Sequence[str] | None = None) -> int:
    asked = parser("gates", "False rollbacks, misses and bad answers of the gates, beside others'.")
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--rollouts", type=int, default=2000, help="simulated rollouts a case")
    asked.add_argument("--quick", action="store_true", help="two services, 200 rollouts a case")
    given = asked.parse_args(arguments)
    began = time.monotonic()
    rollouts, services = (min(given.rollouts, 200), QUICK_SERVICES) if given.quick else (given.rollouts, SERVICES)
    work = partial(study, rollouts=rollouts, seed=given.seed)
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        studied = list(pool.map(work, *zip(*services, strict=True)))
    kept = summary(studied)
    show(f"Taken back though no worse, % of {rollouts} rollouts (in brackets: returned undecided)", false_rows(studied))
    show(
        "Regressions: taken back / promoted / returned undecided, % (median minutes until taken back)", regression_rows(studied)
    )
    show("Bad answers a rollout in the first hour, at as many false alarms (best of three / ours)", bad_rows(studied))
    show("The settings that were the best of those with as few false alarms", setting_rows(studied))
    show("Targets", kept, f"seed {given.seed}, {rollouts} rollouts a case, {time.monotonic() - began:.0f} s")
    if given.json:
        data = {"seed": given.seed, "rollouts": rollouts, "targets": kept, "services": [asdict(s) for s in studied]}
        given.json.write_text(json.dumps(data, indent=1) + "\n")
    return 0


def false_rows(studied: Sequence[Service]) -> list[Row]:
    return [
        {"service": s.name}
        | {name: f"{100 * s.nulls[name]['back']:.2f} ({100 * s.nulls[name]['undecided']:.0f})" for name in (*NULLS, *STRESS)}
        | {"budget suffices": "yes" if s.suffices else "no"}
        for s in studied
    ]


def regression_rows(studied: Sequence[Service]) -> list[Row]:
    rows = []
    for name in REGRESSIONS:
        row: Row = {"regression": name}
        for s in studied:
            seen = s.regressions[name]
            minutes = "" if math.isnan(seen["minutes"]) else f" ({seen['minutes']:.0f})"
            row[s.name] = "/".join(f"{100 * seen[how]:.3g}" for how in ("back", "promoted", "undecided")) + minutes
        rows.append(row)
    return rows


def bad_rows(studied: Sequence[Service]) -> list[Row]:
    rows = []
    for s in studied:
        for name in COMPARED:
            bad = s.bad[name]
            best = min(OTHERS, key=lambda other: bad[other])
            ratio = bad[best] / max(bad["ours"], 1e-9)
            lost = "" if ratio >= 1 / AIM else " less than twice" if ratio > 1 else " WE LOSE"
            rows.append(
                {"service": s.name, "case": name}
                | {judge: f"{bad[judge]:,.1f}" for judge in ("ours", *OTHERS)}
                | {"best": best, "times ours": f"{ratio:.2f}{lost}"}
            )
    return rows


def setting_rows(studied: Sequence[Service]) -> list[Row]:
    return [{"service": s.name} | {other: s.settings[other] for other in OTHERS} for s in studied]


def summary(studied: Sequence[Service]) -> list[Row]:
    """Each target with the worst figure."""
    false = {f"{s.name}, {name}": s.nulls[name]["back"] for s in studied for name in NULLS}
    stressed = {f"{s.name}, {name}": s.nulls[name]["back"] for s in studied for name in STRESS}
    missed: dict[str, float] = {}
    elsewhere: dict[str, float] = {}
    good: dict[str, float] = {}
    good_elsewhere: dict[str, float] = {}
    for s in studied:
        for name, seen in s.regressions.items():
            if name not in BELOW_MARGIN:
                enough = s.suffices_quality if name.startswith("quality") else s.suffices
                (missed if enough else elsewhere)[f"{s.name}, {name}"] = seen["promoted"]
        for name in ("plain", "with quality"):
            enough = s.suffices if name == "plain" else s.suffices_quality
            (good if enough else good_elsewhere)[f"{s.name}, {name}"] = 1 - s.nulls[name]["promoted"]
    worlds = [name for name in NULLS if name not in ("plain", "better", "with quality")]
    disturbed = {f"{s.name}, {name}": 1 - s.nulls[name]["promoted"] for s in studied for name in worlds if s.suffices}
    rows = [
        _target("false rollbacks a rollout, effect at most 1x", false, FALSE_AT_MOST),
        _target("the same with twice the noise that is granted", stressed, None),
        _target("misses of regressions of 2x and more, where the budget suffices", missed, MISSED_AT_MOST),
        _target("the same elsewhere", elsewhere, None),
        _target("good releases not promoted, where the budget suffices", good, GOOD_LOST_AT_MOST),
        _target("the same elsewhere", good_elsewhere, None),
        _target("the same with noise and blips, where the budget suffices", disturbed, None),
    ]
    for enough, where in ((True, "where the budget suffices"), (False, "elsewhere (most go back undecided, good ones too)")):
        chosen = [s for s in studied if s.suffices is enough]
        if chosen:
            rows.append(_cost(f"bad answers, ours over the best of three, {where}", chosen))
    return rows


def _cost(figure: str, studied: Sequence[Service]) -> Row:
    """The mean is geometric."""
    ratios = {
        f"{s.name}, {name}": max(s.bad[name]["ours"], 1e-9) / max(1e-9, min(s.bad[name][other] for other in OTHERS))
        for s in studied
        for name in COMPARED
    }
    worst = max(ratios, key=lambda name: ratios[name])
    kept, lost = (sum(map(test, ratios.values())) for test in (lambda r: round(r, 2) <= AIM, lambda r: round(r, 2) > 1))
    mean = math.exp(sum(map(math.log, ratios.values())) / len(ratios))
    target = f"at most {AIM:g}: in {kept} of {len(ratios)} cases; lost: {lost}"
    return {"figure": figure, "mean": f"{mean:.2f}", "worst": f"{ratios[worst]:.2f}", "where": worst, "target": target}


def _target(figure: str, shares: dict[str, float], most: float | None) -> Row:
    if not shares:
        return {"figure": figure, "mean": None, "worst": None, "where": None, "target": None}
    worst = max(shares, key=lambda name: shares[name])
    target = "reported" if most is None else f"at most {100 * most:g} %: {'kept' if shares[worst] <= most else 'MISSED'}"
    mean = sum(shares.values()) / len(shares)
    return {
        "figure": figure,
        "mean": f"{100 * mean:.2f} %",
        "worst": f"{100 * shares[worst]:.2f} %",
        "where": worst,
        "target": target,
    }


if __name__ == "__main__":
    sys.exit(main())
