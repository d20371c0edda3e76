"""Whether the time allows the step at work: weight is raised inside the windows of the spec, and taken back at any time."""

from datetime import datetime

from turnout_components.rollout_spec import Experiment, Mirror, SetWeight, SmokeTest
from turnout_components.time_windows import closed_until

from turnout.rollout.evidence import mirrored
from turnout.rollout.status import RolloutStatus


def opens(status: RolloutStatus, now: datetime, live: int | None = None, copied: int | None = None) -> datetime | None:
    """When the step at work may begin; None: it may go on now. What gives the candidate nothing more needs no window, nor does
    a step that somebody has told to go on, a mirror or an experiment that is on or over, or a weight that is in force already
    (`live`, in percent) and not yet recorded. `copied`: what is mirrored, in percent; None: as the status has it."""
    step = status.current
    if status.state.is_over or status.is_approved or not isinstance(step, (SetWeight, SmokeTest, Mirror, Experiment)):
        return None
    if isinstance(step, Mirror) and ((status.mirror and copied != 0) or mirrored(status) >= step.length):
        return None
    if isinstance(step, Experiment) and status.trial.since is not None:
        return None
    if isinstance(step, SetWeight) and (step.set_weight <= status.weight or (live is not None and live == status.moving)):
        return None
    return closed_until(status.spec.windows, status.spec.freeze, now)
