"""The checklist while a rollout runs and when it is over, from what is live."""

from turnout_components.live import LiveCloud, ready_targets, utc_now
from turnout_components.switch_record import SwitchRecord

from turnout.rollout import checklist_facts
from turnout.rollout.checklist import Result, waived
from turnout.rollout.checklist_after import After, During, after, during
from turnout.rollout.status import RolloutStatus, State
from turnout.rollouts import Rollouts

NOTE = "note"
"""The event that holds what an operator has written down."""


def checklist(rollouts: Rollouts, status: RolloutStatus) -> tuple[Result, ...]:
    """The items of the time from the first step on. Nothing that was replaced since is found."""
    record = rollouts.access.store.read()
    if record is None:
        return ()
    wanted, spec = rollouts.metrics(status.spec.metrics), status.spec
    stable, candidate = (_ready(rollouts.access.live, record, name) for name in (status.stable, status.candidate))
    fault, changed = checklist_facts.runbook(rollouts.stack.root, spec.runbook)
    note = "; ".join(event.why for event in status.events if event.what == NOTE)
    now = status.ended or utc_now()
    serving = candidate if status.state is State.PROMOTED else stable
    results = (
        *during(During(status, now, wanted.delay + 2 * wanted.period, stable)),
        *after(After(status, serving, note, spec.runbook, fault, changed)),
    )
    return waived(results, spec.waive)


def _ready(cloud: LiveCloud, record: SwitchRecord, environment: str) -> int:
    state = record.environments[environment]
    return ready_targets(cloud, state.target_group, state.group)[0]
