"""An experiment from its plan to its verdict, with made-up users.

python -m examples.experiment              plan it, run it on users whose conversion is known, judge it every day
python -m examples.experiment --gateway    the Envoy filter that sets x-variant, as JSON
"""

import argparse
import json
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from turnout_components.variant_filter import envoy_filter
from turnout_components.variants import variant

from turnout.analysis import power
from turnout.analysis.experiment import Design, Outcome, Result, conversions, judge

PLAN = Path(__file__).with_name("experiment.yaml")


def planned(plan: dict[str, Any], users_a_day: int) -> str:
    """What the experiment will take, in a line."""
    count, part = len(plan["split"]), sum(plan["split"].values())
    need = power.for_conversion(plan["rate"], plan["smallest"], variants=count)
    days = power.days(need.any_time, count, users_a_day, part)
    return (
        f"{need.any_time} users a variant ({need.one_look} if one looked only once): {days} days at {users_a_day} users a day"
    )


def days(plan: dict[str, Any], users_a_day: int, rates: dict[str, float], seed: int) -> Iterator[Result]:
    """The verdict after each day. New users come, fall to their variants, and convert at the `rates` of these."""
    chance = random.Random(seed)
    design = Design(plan["name"], plan["control"], plan["split"], plan["smallest"])
    users, converted, number = Counter[str](), Counter[str](), 0
    while True:
        for _ in range(users_a_day):
            number += 1
            mine = variant(plan["name"], f"user-{number}", plan["split"])
            if mine is not None:
                users[mine] += 1
                converted[mine] += chance.random() < rates[mine]
        yield judge(design, {name: conversions(converted[name], users[name]) for name in users})


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m examples.experiment", description="Run an A/B experiment on made-up users."
    )
    parser.add_argument("--gateway", action="store_true", help="print the Envoy filter instead")
    parser.add_argument("--users", type=int, default=10_000, help="new users a day")
    parser.add_argument("--days", type=int, default=20, help="days at most")
    parser.add_argument("--candidate-rate", type=float, default=0.062, help="conversion of the candidate's users, 0 to 1")
    parser.add_argument("--seed", type=int, default=1, help="seed of who converts")
    args = parser.parse_args()
    plan: dict[str, Any] = yaml.safe_load(PLAN.read_text())
    if args.gateway:
        print(json.dumps(envoy_filter(plan["name"], plan["split"], header=plan["header"]), indent=2))
        return 0
    print(f"plan: {planned(plan, args.users)}")
    rates = {"control": plan["rate"], "candidate": args.candidate_rate}
    for day, result in zip(range(1, args.days + 1), days(plan, args.users, rates, args.seed), strict=False):
        print(f"day {day}: {result.said}")
        if result.ratio.broken or any(found.outcome is not Outcome.UNDECIDED for found in result.compared.values()):
            break
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
