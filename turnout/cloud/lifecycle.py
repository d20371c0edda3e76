"""The way of an instance through its auto scaling group, as a pure state machine.

Sources: "Amazon EC2 Auto Scaling instance lifecycle" (states), "Use lifecycle hooks with a warm pool in Auto Scaling group"
(the `Warmed:` states), "Amazon EC2 Auto Scaling lifecycle hooks" (results), Amazon EC2 Auto Scaling User Guide;
`LifecycleHook`, `CompleteLifecycleAction`, `RecordLifecycleActionHeartbeat` in the Amazon EC2 Auto Scaling API Reference.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

LAUNCHING, TERMINATING = "autoscaling:EC2_INSTANCE_LAUNCHING", "autoscaling:EC2_INSTANCE_TERMINATING"
CONTINUE, ABANDON = "CONTINUE", "ABANDON"
SERVICE, POOL, REUSE, END = "service", "pool", "reuse", "end"
"""Where an instance goes: into service, into the warm pool, out of service into the pool, to its end."""
IN_SERVICE, STANDBY, GONE = "InService", "Standby", "Terminated"
WARM = "Warmed:"
_LONGEST_WAIT, _MOST_BEATS = 172800.0, 100


@dataclass(frozen=True)
class Hook:
    """A lifecycle hook. `timeout`: seconds without a heartbeat; `default`: its result when they have passed."""

    name: str
    transition: str
    timeout: float
    default: str

    @property
    def longest(self) -> float:
        """Seconds that an instance may wait whatever the heartbeats: 48 hours or 100 timeouts, whichever is smaller."""
        return min(_LONGEST_WAIT, _MOST_BEATS * self.timeout)


@dataclass(frozen=True)
class Action:
    """A lifecycle action: one hook that one instance waits for. Times on the caller's clock, in seconds."""

    hook: Hook
    token: str
    deadline: float
    limit: float

    def beaten(self, now: float) -> "Action":
        """After a heartbeat: the timeout begins again, up to the longest wait."""
        return replace(self, deadline=min(now + self.hook.timeout, self.limit))


@dataclass(frozen=True)
class Step:
    """Where an instance is (`state`, as the API says it), where it goes, and the actions that it waits for."""

    state: str
    goal: str
    actions: tuple[Action, ...] = ()

    @property
    def transition(self) -> str | None:
        """The transition whose hooks hold this instance up, or None where it rests."""
        if "Pending" in self.state:
            return LAUNCHING
        return TERMINATING if "Terminating" in self.state else None

    @property
    def waiting(self) -> bool:
        """Whether hooks hold it up."""
        return self.state.endswith(":Wait")

    @property
    def proceeds(self) -> bool:
        """Whether its hooks are behind it."""
        return self.state.endswith(":Proceed")

    @property
    def warm(self) -> bool:
        """Whether it belongs to the warm pool."""
        return self.state.startswith(WARM)

    @property
    def resting(self) -> bool:
        """Whether it is in the warm pool and ready to be taken."""
        return self.state in (f"{WARM}Stopped", f"{WARM}Running", f"{WARM}Hibernated")


def launching(goal: str) -> Step:
    """A new instance, or one that leaves the warm pool, for `SERVICE`; a new one for `POOL`."""
    return Step("Warmed:Pending" if goal == POOL else "Pending", goal)


def leaving(step: Step, goal: str = END) -> Step:
    """Out of service (or out of the pool); outstanding actions are void."""
    return Step("Warmed:Terminating" if step.warm else "Terminating", goal)


def arrive(step: Step, hooks: Iterable[Hook], now: float, token: Callable[[], str]) -> Step:
    """What precedes the hooks is done: the machine is up, or the balancer has let go. Waits for the hooks of the transition."""
    if step.transition is None or step.waiting or step.proceeds:
        return step
    actions = tuple(
        Action(hook, token(), now + hook.timeout, now + hook.longest) for hook in hooks if hook.transition == step.transition
    )
    return replace(step, state=f"{step.state}:{'Wait' if actions else 'Proceed'}", actions=actions)


def complete(step: Step, hook: str, result: str) -> Step:
    """One action's result. All must continue before the instance proceeds. ABANDON ends the others; a launching instance
    then terminates, a terminating one proceeds as with CONTINUE."""
    left = tuple(action for action in step.actions if action.hook.name != hook)
    if result == ABANDON and step.transition == LAUNCHING:
        return leaving(step)
    if result == ABANDON or not left:
        return replace(step, state=step.state.removesuffix(":Wait") + ":Proceed", actions=())
    return replace(step, actions=left)


def beat(step: Step, hook: str, now: float) -> Step:
    """A heartbeat for one action."""
    return replace(step, actions=tuple(a.beaten(now) if a.hook.name == hook else a for a in step.actions))


def expire(step: Step, now: float) -> Step:
    """The default results of the hooks whose time is up."""
    for action in step.actions:
        if now >= action.deadline and step.waiting:
            step = complete(step, action.hook.name, action.hook.default)
    return step


def settle(step: Step, pool_state: str) -> Step:
    """Behind the hooks: in service, at rest in the pool (`pool_state`: Stopped, Running or Hibernated), back into the pool's
    launch for one that is reused, or gone."""
    if not step.proceeds:
        return step
    if step.transition == LAUNCHING:
        return Step(WARM + pool_state if step.goal == POOL else IN_SERVICE, step.goal)
    return launching(POOL) if step.goal == REUSE else Step(WARM + GONE if step.warm else GONE, END)


RUN, KEEP, STOP = "run", "keep", "stop"


def server_of(step: Step, pool_state: str) -> str:
    """What becomes of the model server: `RUN` it, `KEEP` what runs (it drains), `STOP` it."""
    if step.transition == TERMINATING:
        return STOP if step.waiting or step.proceeds else KEEP
    if step.resting:
        return RUN if step.state == "Warmed:Running" else STOP
    return STOP if step.proceeds and step.goal == POOL and pool_state != "Running" else RUN
