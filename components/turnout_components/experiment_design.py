"""What an A/B experiment asks, as data: its variants with their users and sides, and the metric that decides.

It stands under `turnout:rollout.experiment`; what it shows is judged by `turnout.analysis.experiment`.
"""

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from string import Template
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from turnout_components import variants
from turnout_components.durations import DURATION, Duration

PLACEHOLDERS = ("service", "environment", "group", "release", "variant", "experiment")
"""What dimension values and selectors may hold as `$name`: of the side that serves the variant, the variant, the experiment."""
_MOST_OF_A_SIDE = 99
_LEAST = 1e-9
"""Of the usual: below it no number of users is reckoned."""


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class VariantKind(StrEnum):
    """What a user's value is: 0 or 1, or any number."""

    CONVERSION = "conversion"
    MEAN = "mean"


class Serving(StrEnum):
    """Which side of a rollout serves a variant."""

    STABLE = "stable"
    CANDIDATE = "candidate"


class VariantMetric(_Section):
    """Where one value a user is, by variant: a CloudWatch metric, or PromQL selectors of counters. Each user counts once."""

    kind: VariantKind = Field(description="write conversion (a user's value is 0 or 1) or mean")
    namespace: str | None = Field(default=None, description="write a CloudWatch namespace such as Turnout")
    name: str | None = Field(default=None, description="write a metric's name: one value a user")
    dimensions: dict[str, str] = Field(default={}, description="write values by dimension; $variant, $experiment are filled in")
    users: str | None = Field(default=None, description='write a PromQL counter such as users_total{variant="$variant"}')
    sum: str | None = Field(default=None, description="write the PromQL counter that adds up the values of `users`")
    squares: str | None = Field(
        default=None, description="of a mean: write the metric (CloudWatch) or counter that adds up the values' squares"
    )

    @model_validator(mode="after")
    def _can_be_read(self) -> Self:
        series = bool(self.namespace and self.name)
        counters = bool(self.users and self.sum)
        if series == counters:
            raise ValueError("write namespace and name (CloudWatch), or users and sum (PromQL), and not both")
        if (self.kind is VariantKind.MEAN) != bool(self.squares):
            raise ValueError("a mean needs squares, for its variance; a conversion has none: its squares are its sum")
        texts = self.dimensions.values() if series else (self.users, self.sum, *([self.squares] if self.squares else []))
        for text in texts:
            _refuse_unknown(str(text))
            if series and not Template(str(text)).is_valid():
                raise ValueError(f"{text!r} has a $ before no name; write $$ for a dollar sign")
        named = ["variant" in _placeholders(str(text)) for text in texts]
        if not any(named) or (counters and not all(named)):
            raise ValueError("is the same for all variants; tell them apart by $variant")
        return self


def _placeholders(text: str) -> set[str]:
    return set(Template(text).get_identifiers())


def _refuse_unknown(text: str) -> None:
    if strange := sorted(_placeholders(text) - set(PLACEHOLDERS)):
        raise ValueError(f"${strange[0]} is not known; write one of {', '.join('$' + name for name in PLACEHOLDERS)}")


class ExperimentDesign(_Section):
    """An experiment on users: who gets which variant, where each is served, and what decides. Fixed before it begins."""

    name: str = Field(description="write a name such as answers-2026-11")
    split: dict[str, float] = Field(description="write percent of all users by variant, such as {control: 10, candidate: 10}")
    control: str = Field(default="control", description="write the variant that the others are compared with")
    variants: dict[str, Serving] = Field(
        default={}, description="write stable or candidate by variant; left out: the control is stable, the others candidate"
    )
    metric: VariantMetric = Field(description="write {kind: conversion, namespace: …, name: …, dimensions: {…}}")
    smallest: float = Field(
        ge=1e-50, le=1e50, description="write the smallest difference of means that matters: 0.01 is a point of conversion"
    )
    usual: float = Field(
        ge=1e-50, le=1e50, description="write today's conversion rate; of a mean, the standard deviation between users"
    )
    users_a_day: float = Field(gt=0, description="write how many new users come in a day, those of no variant too")
    alpha: float = Field(default=0.05, ge=0.001, le=0.2, description="write the share of false findings, 0.001 to 0.2")
    power: float = Field(default=0.8, ge=0.5, le=0.99, description="write how surely `smallest` is to be found, 0.5 to 0.99")
    higher_is_better: bool = Field(default=True, description="write true or false")
    length: Duration = Field(alias="for", default=timedelta(days=28), description=f"{DURATION}: the longest it may run")
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, serialize_by_alias=True, allow_inf_nan=False)

    @model_validator(mode="after")
    def _can_be_asked(self) -> Self:
        for fault in variants.faults(self.name, self.split):
            field = "name" if fault.field == "experiment" else fault.field
            raise ValueError(f"{field} {fault.value!r} {fault.reason}; {fault.fix}")
        if not self.split.get(self.control):
            raise ValueError(f"control {self.control!r} has no users in split; write one of {', '.join(self.split)}")
        if strange := sorted(self.variants.keys() - self.split.keys()):
            raise ValueError(f"variants: {strange[0]} is no variant of split; write one of {', '.join(self.split)}")
        if self.serving(self.control) is not Serving.STABLE:
            raise ValueError(f"variants: {self.control} is the control: the stable side serves it")
        if not any(self.split[name] for name in self.candidates):
            raise ValueError("the candidate serves no variant; give one of split users, and to it in variants")
        if self.smallest < self.usual * _LEAST:
            raise ValueError(f"smallest {self.smallest:g} is nothing beside {self.usual:g}: no users there are would show it")
        if self.metric.kind is VariantKind.CONVERSION and not 0 < self.hoped < 1:
            raise ValueError(
                f"a conversion of {self.usual:g} cannot become {self.hoped:g}: write a rate and a smaller `smallest`"
            )
        return self

    def serving(self, variant: str) -> Serving:
        """The side that serves a variant."""
        return self.variants.get(variant, Serving.STABLE if variant == self.control else Serving.CANDIDATE)

    @property
    def candidates(self) -> tuple[str, ...]:
        """The variants that the candidate serves."""
        return tuple(name for name in self.split if self.serving(name) is Serving.CANDIDATE)

    @property
    def hoped(self) -> float:
        """What is better than the usual by just what matters: of a conversion, the rate."""
        return self.usual + (self.smallest if self.higher_is_better else -self.smallest)

    @property
    def share(self) -> int:
        """The users that the candidate serves, in whole percent of all: 1 to 99."""
        return min(max(1, round(sum(self.split[name] for name in self.candidates))), _MOST_OF_A_SIDE)

    def environments(self, stable: str, candidate: str) -> Mapping[str, str]:
        """The environment that serves each variant."""
        return {name: candidate if self.serving(name) is Serving.CANDIDATE else stable for name in self.split}
