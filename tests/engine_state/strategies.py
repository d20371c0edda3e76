"""Random states, for the round trips."""

from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

from turnout.engine.state import ResourceState, Snapshot
from turnout.engine.values import UNKNOWN, Secret

_NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8)
_PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=3),
    max_leaves=6,
)
VALUES = st.recursive(
    _PLAIN | _PLAIN.map(Secret) | st.just(UNKNOWN),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=3),
    max_leaves=5,
)
PROPERTIES = st.dictionaries(_NAMES, VALUES, max_size=3)


def urn(number: int) -> str:
    return f"urn:pulumi:dev::shop::test:index:Thing::thing-{number}"


@st.composite
def resources(draw: st.DrawFn, number: int) -> ResourceState:
    """A resource that may need any of those numbered below it."""
    earlier = st.lists(st.integers(0, number - 1).map(urn), max_size=2, unique=True) if number else st.just([])
    parent: list[str] = draw(earlier)
    provider: list[str] = draw(earlier)
    properties: dict[str, Any] = draw(PROPERTIES)
    return ResourceState(
        urn=urn(number),
        type="test:index:Thing",
        custom=draw(st.booleans()),
        id=draw(st.text(max_size=5)),
        inputs=properties,
        outputs=draw(PROPERTIES),
        parent=parent[0] if parent else "",
        provider=f"{provider[0]}::id-{number}" if provider else "",
        dependencies=draw(earlier),
        property_dependencies={name: draw(earlier) for name in properties},
        protect=draw(st.booleans()),
        retain_on_delete=draw(st.booleans()),
        aliases=draw(earlier),
        additional_secret_outputs=draw(st.lists(_NAMES, max_size=2)),
        custom_timeouts=draw(st.dictionaries(st.sampled_from(["create", "delete"]), st.floats(1, 5), max_size=1)),
        hooks=draw(st.dictionaries(st.sampled_from(["before-update"]), st.lists(_NAMES, max_size=2), max_size=1)),
        created=draw(st.none() | st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))),
    )


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    """Up to five resources, in any order."""
    count = draw(st.integers(0, 5))
    return Snapshot(draw(st.permutations([draw(resources(number)) for number in range(count)])))
