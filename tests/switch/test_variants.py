"""Who gets which variant of an experiment: always the same, in the shares asked for, with as few moves as can be."""

import math
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from turnout_components.variants import BUCKETS, Range, bucket, ranges, variant

GOLDEN = {
    ("answers", "user-1"): 9755,
    ("answers", "user-2"): 6740,
    ("answers", ""): 4256,
    ("answers", "Zoë"): 2430,
    ("answers", "a" * 200): 5864,
    ("prices", "user-1"): 4944,
}
"""As docs/experiments.md gives them to other languages."""
EVEN = {"control": 50, "candidate": 50}
HUNDREDTHS = st.integers(0, BUCKETS)


@st.composite
def splits(draw: st.DrawFn) -> dict[str, float]:
    """Shares of two to five variants, in hundredths of a percent, of at most all users."""
    left, shares = BUCKETS, []
    for _ in range(draw(st.integers(2, 5))):
        shares.append(draw(st.integers(0, left)))
        left -= shares[-1]
    return {f"v{place}": share / 100 for place, share in enumerate(draw(st.permutations(shares)))}


def owners(split: dict[str, float]) -> list[str | None]:
    """The variant of each bucket."""
    held: list[str | None] = [None] * BUCKETS
    for place in ranges(split):
        for number in range(place.first, place.end):
            assert held[number] is None, "two variants have one bucket"
            held[number] = place.variant
    return held


@pytest.mark.parametrize(("experiment", "key"), GOLDEN)
def test_a_bucket_is_what_other_languages_were_told(experiment: str, key: str) -> None:
    assert bucket(experiment, key) == GOLDEN[experiment, key]


def test_the_document_for_other_languages_has_these_buckets() -> None:
    table = (Path(__file__).parents[2] / "docs" / "experiments.md").read_text()
    for (experiment, key), number in GOLDEN.items():
        shown = "200 times `a`" if len(key) == 200 else f"`{key}`" if key else '`""`'
        assert f"| `{experiment}` | {shown} | {number} |" in table


def test_users_spread_over_the_buckets_as_chance_would() -> None:
    counts = Counter(bucket("answers", f"user-{number}") // 100 for number in range(100_000))
    chi_square = sum((counts[place] - 1000) ** 2 / 1000 for place in range(100))
    assert chi_square < 99 + 4 * math.sqrt(2 * 99)


def test_experiments_over_the_same_users_fall_independently() -> None:
    both = Counter(
        (variant("answers", f"user-{number}", EVEN), variant("prices", f"user-{number}", EVEN)) for number in range(40_000)
    )
    assert len(both) == 4
    assert all(abs(count - 10_000) < 4 * math.sqrt(40_000 * 0.25 * 0.75) for count in both.values())


def test_shares_are_met_and_the_rest_takes_no_part() -> None:
    split = {"control": 10, "candidate": 10, "shorter": 2.5}
    counts = Counter(variant("answers", f"user-{number}", split) for number in range(100_000))
    assert set(counts) == {*split, None}
    assert all(abs(counts[name] / 1000 - share) < 0.4 for name, share in split.items())


def test_users_without_a_key_take_no_part() -> None:
    assert variant("answers", "", EVEN) is None
    assert variant("answers", "0", EVEN) is not None


def test_a_user_keeps_the_variant_while_shares_rise_from_1_to_100_percent() -> None:
    users = [f"user-{number}" for number in range(3000)]
    held: dict[str, str] = {}
    for share in (0.5, 1, 5, 25, 40, 50):
        now = {user: variant("answers", user, {"control": share, "candidate": share}) for user in users}
        assert {user: now[user] for user in held} == held
        held = {user: name for user, name in now.items() if name is not None}
    assert len(held) == len(users)


@settings(max_examples=100, deadline=None)
@given(splits())
def test_every_variant_has_exactly_its_share_of_buckets(split: dict[str, float]) -> None:
    counts = Counter(owners(split))
    assert {name: counts[name] for name in split} == {name: round(share * 100) for name, share in split.items()}


@settings(max_examples=100, deadline=None)
@given(splits(), st.data())
def test_raising_a_share_moves_as_few_users_as_can_be(split: dict[str, float], data: st.DataObject) -> None:
    left = BUCKETS - sum(round(share * 100) for share in split.values())
    assume(left > 0)
    name = data.draw(st.sampled_from(sorted(split)))
    by = data.draw(st.integers(1, left))
    before, after = owners(split), owners({**split, name: (round(split[name] * 100) + by) / 100})
    between = sum(was is not None and was != now for was, now in zip(before, after, strict=True))
    lost = sum(was == name != now for was, now in zip(before, after, strict=True))
    assert lost == 0
    at_home = all((round(share * 100) + (by if each == name else 0)) <= BUCKETS // len(split) for each, share in split.items())
    assert between == 0 if at_home else between <= by * (len(split) - 1)


def test_two_variants_meet_wherever_their_shares_meet() -> None:
    assert ranges({"control": 80, "candidate": 20}) == (
        Range(0, 5000, "control"),
        Range(5000, 7000, "candidate"),
        Range(7000, 10_000, "control"),
    )
    assert ranges({"control": 0, "candidate": 0.01}) == (Range(5000, 5001, "candidate"),)


@pytest.mark.parametrize(
    ("experiment", "split", "said"),
    [
        ("Answers", EVEN, "experiment = 'Answers': is no name"),
        ("a:b", EVEN, "is no name"),
        ("answers", {"control": 50}, "compares nothing"),
        ("answers", {"control": 50, "can didate": 50}, "split.can didate"),
        ("answers", {"control": 50, "c*": 50}, "is no variant's name"),
        ("answers\n", EVEN, "is no name"),
        ("answers", {"control": 50, "candidate\n": 50}, "is no variant's name"),
        ("answers", {"control": 60, "candidate": 50}, "more than all users"),
        ("answers", {"control": -1, "candidate": 50}, "split.control = -1: is no share"),
        ("answers", {"control": 0.005, "candidate": 50}, "steps of 0.01"),
        ("answers", {"control": math.nan, "candidate": 50}, "is no share"),
    ],
)
def test_an_experiment_that_cannot_be_is_refused(experiment: str, split: dict[str, float], said: str) -> None:
    with pytest.raises(ValueError, match=said.replace("*", r"\*").replace("(", r"\(")):
        variant(experiment, "user-1", split)
