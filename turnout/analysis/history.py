"""What the active side was like at its worst while a rollout went on: the base of the bounds after the full switch."""

from collections.abc import Sequence

RUN = 5
"""Windows of a run: shorter ones would take a bad minute for a bad time."""
BAD_OF_A_RUN = 50
"""Bad requests that a run holds at least, else it is lengthened: fewer would take chance for a bad time."""
SCORES_OF_A_RUN = 500


def worst_share(windows: Sequence[tuple[float, float]]) -> float:
    """The highest share of (bad, total) of all runs of windows, each without its best and its worst window.

    After the full switch nothing cancels what comes and goes by itself: the bound has to leave room for what the active did."""
    return max(_share(run) for run in _runs(windows, BAD_OF_A_RUN, of=0))


def worst_mean(windows: Sequence[tuple[float, float]]) -> float:
    """The lowest mean of (sum, count) of all runs."""
    return min(_share(run) for run in _runs(windows, SCORES_OF_A_RUN, of=1))


def _runs(windows: Sequence[tuple[float, float]], least: float, of: int) -> list[list[tuple[float, float]]]:
    """Runs of at least `RUN` windows that hold `least` of the first or second number; what is left joins the last."""
    runs: list[list[tuple[float, float]]] = [[]]
    for window in reversed(windows):
        if len(runs[-1]) >= RUN and sum(w[of] for w in runs[-1]) >= least:
            runs.append([])
        runs[-1].append(window)
    if len(runs) > 1 and (len(runs[-1]) < RUN or sum(w[of] for w in runs[-1]) < least):
        runs[-2].extend(runs.pop())
    return runs


def _share(run: list[tuple[float, float]]) -> float:
    kept = sorted(run, key=lambda window: window[0] / window[1])[1:-1] if len(run) >= RUN else run
    return sum(first for first, _ in kept) / sum(second for _, second in kept)
