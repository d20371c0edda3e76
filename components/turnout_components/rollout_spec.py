"""What a rollout is to do, as data: the strategy's steps and the gates that judge the candidate.

The stack's config holds it under `turnout:rollout`, `turnout rollout start` may change parts of it, and the rollout keeps the
copy that it started with.
"""

import re
from collections.abc import Callable
from datetime import timedelta
from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from turnout_components.durations import DURATION, Duration
from turnout_components.experiment_design import ExperimentDesign
from turnout_components.time_windows import freeze, window

PLACEHOLDERS = ("service", "environment", "group", "release")
"""What a metric's dimension values and queries may hold as `$name`; filled in for each side."""
_PLACEHOLDER = re.compile(r"\$(?:\{(\w+)\}|(\w+))")


class _Section(BaseModel):
    """Each field's description says what to write there: it ends the line of a fault."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class StrategyName(StrEnum):
    """How a candidate gets to all traffic."""

    DIRECT = "direct"
    BLUE_GREEN = "blue-green"
    CANARY = "canary"
    SHADOW = "shadow"
    AB = "ab"
    RECREATE = "recreate"


class Source(StrEnum):
    """Where measurements come from."""

    CLOUDWATCH = "cloudwatch"
    PROMETHEUS = "prometheus"


class GateKind(StrEnum):
    """What a gate compares: shares of failed requests, shares of slow ones, mean scores, healthy targets, burnt budget."""

    ERRORS = "errors"
    LATENCY = "latency"
    QUALITY = "quality"
    HEALTH = "health"
    BURN = "burn"


MARGINS = {GateKind.ERRORS: 1.5, GateKind.LATENCY: 1.2, GateKind.QUALITY: 0.02, GateKind.BURN: 14.4}
"""How much worse than the active side a candidate may be: ratios of error rate and of the percentile, a difference of scores
(seed 000). Burn: how many times faster than the objective allows ("Alerting on SLOs", The Site Reliability Workbook)."""


class Metric(_Section):
    """Where a gate's numbers are, beside the load balancer's own: a CloudWatch metric, or PromQL selectors of counters."""

    namespace: str | None = Field(default=None, description="write a CloudWatch namespace such as Turnout")
    name: str | None = Field(default=None, description="write a metric's name")
    dimensions: dict[str, str] = Field(default={}, description="write values by dimension; $environment, $group are filled in")
    total: str | None = Field(default=None, description='write a PromQL counter such as requests_total{env="$environment"}')
    bad: str | None = Field(default=None, description="write the PromQL counter of the failed ones of `total`")
    score: str | None = Field(default=None, description="write the PromQL counter that adds up the scores of `total`")
    histogram: str | None = Field(default=None, description="write a PromQL selector of a histogram's _bucket series")

    @model_validator(mode="after")
    def _known_placeholders(self) -> Self:
        for text in (*self.dimensions.values(), self.total, self.bad, self.score, self.histogram):
            for match in _PLACEHOLDER.finditer(text or ""):
                name = match[1] or match[2]
                if name not in PLACEHOLDERS:
                    raise ValueError(f"${name} is not known; write one of {', '.join('$' + p for p in PLACEHOLDERS)}")
        return self


class Gate(_Section):
    """One rule on one metric. `critical`: its Fail takes the rollout back; else it is told, and nothing more."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_-]*$", max_length=32, description="write lower-case letters, digits and hyphens")
    kind: GateKind = Field(description="write errors, latency, quality, health or burn")
    metric: Metric | None = Field(default=None, description="write {namespace: …, name: …}, or null for the load balancer's")
    margin: float | None = Field(default=None, gt=0, description="write a ratio above 1 (quality: a difference of scores)")
    percentile: float = Field(default=95, ge=50, le=99.9, description="write a percentile from 50 to 99.9")
    bound: float | None = Field(
        default=None, gt=0, description="write what holds after the full switch: error rate, seconds or score; null: derived"
    )
    minimum: int = Field(default=100, ge=1, description="write the candidate's samples below which nothing is judged")
    objective: float = Field(default=0.999, gt=0, lt=1, description="write the share of good requests that is promised")
    critical: bool = Field(default=True, description="write true or false")

    @property
    def allowed(self) -> float:
        """The margin, or the default of the kind."""
        return self.margin if self.margin is not None else MARGINS.get(self.kind, 1.0)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.kind in (GateKind.ERRORS, GateKind.LATENCY) and self.allowed <= 1:
            raise ValueError(f"margin {self.allowed} leaves no room: write a ratio above 1 such as {MARGINS[self.kind]}")
        if self.kind is GateKind.QUALITY and self.metric is None:
            raise ValueError("quality needs a metric: the load balancer does not know whether an answer is right")
        return self


class SetWeight(_Section):
    """Gives the candidate this share of requests, in percent."""

    set_weight: int = Field(ge=1, le=100, description="write percent from 1 to 100")


class Bake(_Section):
    """Waits while the gates look; the clock starts when the observed share fits the weights."""

    bake: Duration = Field(description=DURATION)


class Analyze(_Section):
    """Goes on when every critical gate passes; extends for at most this long, and then goes back."""

    analyze: Duration = Field(description=DURATION)


class SmokeTest(_Section):
    """Runs a command against the candidate on the test listener: its exit code decides."""

    smoke_test: str = Field(min_length=1, description="write a command; $URL and $HEADER name the test listener and its header")
    timeout: Duration = Field(default=timedelta(minutes=5), description=DURATION)


class Mirror(_Section):
    """Sends a copy of this share of live requests to the candidate, in percent; users never see its answers."""

    mirror: int = Field(ge=1, le=100, description="write percent from 1 to 100")
    length: Duration = Field(alias="for", default=timedelta(minutes=10), description=DURATION)
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, serialize_by_alias=True)


class Experiment(_Section):
    """Sends each variant's users to the side that serves it, past the weights, and goes on when one of the candidate's variants
    wins; else the rollout goes back, after this long at the latest. What is asked stands under `experiment` of the spec."""

    experiment: Duration = Field(description=DURATION)


class Approve(_Section):
    """Waits until somebody runs `turnout rollout promote`; after `deadline` the rollout goes back."""

    approve: str = Field(min_length=1, description="write what is to be looked at")
    deadline: Duration = Field(default=timedelta(days=1), description=DURATION)


Step = SetWeight | Bake | Analyze | SmokeTest | Mirror | Experiment | Approve
STEPS: tuple[type[_Section], ...] = (SetWeight, Bake, Analyze, SmokeTest, Mirror, Experiment, Approve)


def _step(value: Any) -> Any:
    """A step is a mapping with its name as a key; a number alone is a weight."""
    if isinstance(value, int) and not isinstance(value, bool):
        return SetWeight(set_weight=value)
    if not isinstance(value, dict):
        return value
    for kind in STEPS:
        if next(iter(kind.model_fields)) in value:
            return kind.model_validate(value)
    raise ValueError(f"is no step; write one of {', '.join(next(iter(kind.model_fields)) for kind in STEPS)}")


AnyStep = Annotated[Step, BeforeValidator(_step)]
DEFAULT_GATES = (
    Gate(name="errors", kind=GateKind.ERRORS),
    Gate(name="latency", kind=GateKind.LATENCY),
    Gate(name="health", kind=GateKind.HEALTH),
)


class Metrics(_Section):
    """Where the gates' numbers come from, and how fine they are."""

    source: Source = Field(default=Source.CLOUDWATCH, description="write cloudwatch or prometheus")
    url: str | None = Field(default=None, pattern=r"^https?://", description="write Prometheus's address")
    period: Duration = Field(default=timedelta(seconds=60), description=f"{DURATION}; CloudWatch has a value a minute")
    delay: Duration = Field(default=timedelta(seconds=90), description=f"{DURATION}: after which a period's value is whole")

    @model_validator(mode="after")
    def _has_address(self) -> Self:
        if self.source is Source.PROMETHEUS and self.url is None:
            raise ValueError("prometheus needs url; write its address such as http://prometheus.internal:9090")
        return self


class Alerts(_Section):
    """Who is told when a rollout ends or goes back."""

    topic: str | None = Field(default=None, pattern=r"^arn:aws[a-z-]*:sns:", description="write the ARN of an SNS topic")
    webhook: str | None = Field(
        default=None,
        pattern=r"^(https://|http://127\.0\.0\.1|ssm:/|arn:aws[a-z-]*:secretsmanager:)",
        description="write https://…, or where the address is kept: ssm:/path or a Secrets Manager ARN",
    )


def _that_reads(reader: Callable[[str], object]) -> Any:
    def judge(text: str) -> str:
        reader(text)
        return text

    return AfterValidator(judge)


WindowText = Annotated[str, _that_reads(window)]
FreezeText = Annotated[str, _that_reads(freeze)]


class Compare(_Section):
    """What of a mirrored answer is compared, and what of it may be shown in samples; the rest is never shown."""

    fields: tuple[str, ...] | None = Field(default=None, description="list dotted paths of the answer, or null for all of it")
    tolerance: float = Field(default=0.0, ge=0, description="write by how much two numbers may differ")
    shown: tuple[str, ...] = Field(default=(), description="list paths whose values may stand in samples")
    hashed: tuple[str, ...] = Field(default=(), description="list paths that stand in samples as hashes only")


class RolloutSpec(_Section):
    """A strategy with its steps, and what judges them."""

    strategy: StrategyName = Field(default=StrategyName.CANARY, description="write canary, blue-green, direct, …")
    steps: tuple[AnyStep, ...] = Field(default=(), description="list steps, or leave out for the strategy's own")
    increment: int | None = Field(default=None, ge=1, le=50, description="write percent: weights rise by it (linear)")
    bake: Duration = Field(default=timedelta(minutes=5), description=f"{DURATION}: at each weight below 100")
    observe: Duration = Field(default=timedelta(minutes=10), description=f"{DURATION}: after the full switch")
    extend: Duration = Field(default=timedelta(minutes=15), description=f"{DURATION}: more, at most, while a gate cannot tell")
    smoke_test: str | None = Field(default=None, description="write a command; $URL and $HEADER name the test listener's way")
    gates: tuple[Gate, ...] = Field(default=DEFAULT_GATES, description="list {name: …, kind: …}")
    metrics: Metrics = Field(default=Metrics(), description="write {source: …}")
    compare: Compare = Field(default=Compare(), description="write {fields: […], shown: […]}: of a mirror")
    experiment: ExperimentDesign | None = Field(
        default=None, description="write {name: …, split: {…}, metric: {…}, …}, or null"
    )
    alerts: Alerts = Field(default=Alerts(), description="write {topic: …, webhook: …}")
    evaluation: dict[str, float] = Field(default={}, description="write least scores of a release's evaluation by name")
    runbook: str | None = Field(default=None, description="write a file of the project, or an address")
    waive: dict[str, str] = Field(default={}, description="write why an item of the checklist may be let pass, by item")
    windows: tuple[WindowText, ...] = Field(
        default=(), description='list texts such as "Mon-Fri 09:00-16:00 Europe/Berlin", or none for any time'
    )
    freeze: tuple[FreezeText, ...] = Field(
        default=(), description='list texts such as "2026-12-20/2027-01-02 Europe/Berlin" or "2026-12-24", in quotes'
    )
    headroom: float = Field(default=1.0, ge=1, le=3, description="write how many times its share a candidate is sized")
    ready_timeout: Duration = Field(default=timedelta(minutes=30), description=DURATION)
    max_surge: int | None = Field(
        default=None, ge=0, description="write how many nodes there may be beside today's, or null for twice as many"
    )
    surge_load: float = Field(default=1.1, ge=1, le=3, description="write how many times today's load a node may carry then")

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        names = [gate.name for gate in self.gates]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two gates are called {twice[0]}; give each a name of its own")
        weights = [step.set_weight for step in self.steps if isinstance(step, SetWeight)]
        if any(after <= before for before, after in pairwise(weights)):
            raise ValueError(f"weights {weights} do not rise; list them from the smallest to the largest")
        if weights and weights[-1] != 100 and self.strategy is not StrategyName.SHADOW:
            raise ValueError(f"weights {weights} end below 100; add 100, so that it is said how the rollout ends")
        if self.strategy is StrategyName.RECREATE and (self.steps or self.increment):
            raise ValueError("recreate replaces the active servers in place and has no steps; leave steps and increment out")
        if self.strategy is not StrategyName.RECREATE and not any(gate.critical for gate in self.judging):
            kind = " of kind health" if self.strategy is StrategyName.DIRECT else ""
            raise ValueError(f"no critical gate{kind} could take the rollout back; add one to gates")
        if weights and self.strategy is StrategyName.SHADOW:
            raise ValueError("shadow gives the candidate no traffic; leave the weights out, or write strategy: canary")
        if self.strategy is StrategyName.BLUE_GREEN and not self.steps and self.smoke_test is None:
            raise ValueError("blue-green has a smoke test before its switch; set smoke_test to its command")
        self._asks_users()
        if self.max_surge is not None:
            self._swaps_nodes()
        return self

    def _asks_users(self) -> None:
        """What an experiment asks of the list in which it stands."""
        if self.strategy is StrategyName.AB and self.experiment is None:
            raise ValueError("ab has nothing to ask; write experiment: {name: …, split: {…}, metric: {…}, smallest: …, …}")
        steps = self.plan()
        places = [place for place, step in enumerate(steps) if isinstance(step, Experiment)]
        if self.strategy is StrategyName.AB and not places:
            raise ValueError("ab has no experiment among its steps; list experiment: 28d, or leave steps out")
        if not places:
            return
        if self.experiment is None:
            raise ValueError("an experiment stands in steps, and experiment does not say what it asks")
        if len(places) > 1:
            raise ValueError("two experiments stand in steps; a rollout asks one thing")
        if self.strategy is StrategyName.SHADOW:
            raise ValueError("shadow has no users, and an experiment asks them; write strategy: ab")
        if any(isinstance(step, SetWeight) for step in steps[: places[0]]):
            raise ValueError("users who follow a weight would mix with the variants'; list the experiment before all weights")
        wanted = self.metrics.source is Source.PROMETHEUS
        if wanted != (self.experiment.metric.users is not None):
            fix = "users and sum" if wanted else "namespace and name"
            raise ValueError(f"the metrics are {self.metrics.source}'s; give experiment.metric its {fix}")

    def _swaps_nodes(self) -> None:
        """What a swap of nodes asks of a strategy."""
        steps = self.plan()
        weights = [step.set_weight for step in steps if isinstance(step, SetWeight)]
        if weights[-1:] != [100]:
            raise ValueError(f"max_surge swaps nodes until all are swapped, and {self.strategy} ends below 100 %: leave it out")
        if any(isinstance(step, Mirror | Experiment) for step in steps):
            raise ValueError("a mirror or an experiment needs nodes beside all others: leave max_surge out")
        if self.max_surge == 0 and not isinstance(steps[0], SetWeight):
            raise ValueError(
                "max_surge 0 leaves the candidate no node before its first weight: write 1, or begin with a weight"
            )
        if self.headroom > 1:
            raise ValueError("headroom wants more nodes than max_surge has room for: leave one of them out")

    def plan(self) -> tuple[Step, ...]:
        """The steps, the strategy's own where none are listed. Every weight is baked and analysed, also where a list says only
        the weight (direct: baked); a smoke test that is set and not listed comes first."""
        steps = self.steps or _OWN_STEPS[self.strategy](self)
        starts = [place for place, step in enumerate(steps) if isinstance(step, SetWeight)]
        ends = [*starts[1:], len(steps)][: len(starts)]
        judged = [each for start, end in zip(starts, ends, strict=True) for each in self._judged(steps[start:end])]
        before = steps[: starts[0] if starts else len(steps)]
        tested = self.strategy in _UNTESTED or any(isinstance(step, SmokeTest) for step in steps)
        first = () if tested or self.smoke_test is None else (SmokeTest(smoke_test=self.smoke_test),)
        return (*first, *before, *judged)

    @property
    def judging(self) -> tuple[Gate, ...]:
        """The gates that this strategy looks at: direct knows the health check only (seed 000), recreate has no other side."""
        if self.strategy is StrategyName.RECREATE:
            return ()
        if self.strategy is StrategyName.DIRECT:
            return tuple(gate for gate in self.gates if gate.kind is GateKind.HEALTH)
        return self.gates

    def _judged(self, steps: tuple[Step, ...]) -> tuple[Step, ...]:
        """A weight and what is listed up to the next one, with what is missing for its evidence."""
        weight, *others = steps
        assert isinstance(weight, SetWeight)
        bake = self.observe if weight.set_weight == 100 else self.bake
        baked = () if any(isinstance(step, Bake) for step in others) else (Bake(bake=bake),)
        analysed = self.strategy is StrategyName.DIRECT or any(isinstance(step, Analyze) for step in others)
        return (weight, *baked, *others, *(() if analysed else (Analyze(analyze=self.extend),)))


def _weights(*weights: int) -> tuple[Step, ...]:
    return tuple(SetWeight(set_weight=weight) for weight in weights)


def _canary(spec: RolloutSpec) -> tuple[Step, ...]:
    return _weights(*range(spec.increment, 100, spec.increment), 100) if spec.increment else _weights(5, 25, 50, 100)


def _shadow(spec: RolloutSpec) -> tuple[Step, ...]:
    return (Mirror.model_validate({"mirror": 100, "for": spec.observe}),)


def _ab(spec: RolloutSpec) -> tuple[Step, ...]:
    assert spec.experiment is not None
    return Experiment(experiment=spec.experiment.length), *_weights(100)


_UNTESTED = (StrategyName.DIRECT, StrategyName.RECREATE)
"""Strategies that look at the health check only, or replace what they would test."""
_OWN_STEPS: dict[StrategyName, Callable[[RolloutSpec], tuple[Step, ...]]] = {
    StrategyName.CANARY: _canary,
    StrategyName.BLUE_GREEN: lambda _: _weights(100),
    StrategyName.DIRECT: lambda _: _weights(100),
    StrategyName.SHADOW: _shadow,
    StrategyName.AB: _ab,
    StrategyName.RECREATE: lambda _: (),
}
