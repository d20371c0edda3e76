"""Puts a standby's step-downs in force, whatever it runs on: `step_down` on auto scaling groups, `step_down_cluster` on
Kubernetes.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime

from turnout_components.standby import StandbyPolicy
from turnout_components.switch_record import SwitchRecord


class StepDowns(ABC):
    """The step-downs of a service's workloads. What acts on time with nobody present runs as `role_arn` (default: what the
    record names)."""

    def __init__(self, role_arn: str | None = None) -> None:
        self.role_arn = role_arn

    def tend(self, record: SwitchRecord, policy: StandbyPolicy, *, due: bool = True) -> list[str]:
        """Arranges the step-downs of the standby that the record retains and takes back all others, and those of a rollout
        that is under way: until it ends nothing shrinks. Without `due`, those
        whose time has come are left undone.

        Returns a line for each thing that it did."""
        self.role_arn = self.role_arn or record.step_down_role
        done = []
        for name, state in record.environments.items():
            kept, carries = record.retained, record.traffic is not None and record.traffic.weights.get(name, 0) > 0
            if state.group is None:
                continue
            if kept is None or kept.environment != name or carries or record.flipped_at is None or record.rollout is not None:
                self.clear(state.group)
            else:
                done += self.arrange(state.group, policy, record.flipped_at, kept.size, due=due)
        return done

    @abstractmethod
    def arrange(self, group: str, policy: StandbyPolicy, flipped_at: datetime, at_flip: int, *, due: bool = True) -> list[str]:
        """Makes what is to come, with `due` applies what is past, removes what belongs to another move, and until the first
        step holds the size `at_flip`: instances that the group had when traffic left it, which scaling rules must not take from
        a standby. Twice is as once. Returns a line for each thing that it arranged."""

    @abstractmethod
    def clear(self, group: str) -> None:
        """Takes back every pending step-down of the group.

        Raises `SwitchRefused` when one is still there: the group must not carry traffic then."""

    @abstractmethod
    def pending(self, groups: Sequence[str]) -> dict[str, dict[str, datetime]]:
        """Times of the pending step-downs by name, by group."""
