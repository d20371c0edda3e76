"""A snapshot's index against the plain list that it stands for: whatever comes, goes and is renamed."""

from dataclasses import replace

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.engine_state.strategies import urn
from turnout.engine.state import ResourceState, Snapshot

URNS = st.integers(0, 3).map(urn)
IDS = st.sampled_from(["", "id-1", "id-2"])
STATES = st.builds(
    lambda urn, id, delete, parent, dependencies: ResourceState(
        urn, "test:index:Thing", True, id, parent=parent, dependencies=dependencies, delete=delete, provider=f"{parent}::p"
    ),
    URNS,
    IDS,
    st.booleans(),
    URNS,
    st.lists(URNS, max_size=2),
)


class Named(RuleBasedStateMachine):
    """Every step is done to a snapshot and, by the words of its methods, to a list of copies."""

    def __init__(self) -> None:
        super().__init__()
        self.snapshot = Snapshot()
        self.model: list[ResourceState] = []

    @rule(states=st.lists(STATES, max_size=4))
    def load(self, states: list[ResourceState]) -> None:
        self.snapshot = Snapshot(states)
        self.model = [replace(state) for state in states]

    @rule(state=STATES)
    def append(self, state: ResourceState) -> None:
        self.snapshot.append(state)
        self.model.append(replace(state))

    @rule(state=STATES)
    def put(self, state: ResourceState) -> None:
        self.snapshot.put(state)
        alike = [
            place
            for place, old in enumerate(self.model)
            if old.urn == state.urn and old.delete == state.delete and (not state.delete or old.id == state.id)
        ]
        if alike:
            self.model[alike[0]] = replace(state)
        else:
            self.model.append(replace(state))

    @rule(state=STATES)
    def remove(self, state: ResourceState) -> None:
        self.snapshot.remove(state)
        mark = (state.urn, state.id, state.delete)
        self.model = [old for old in self.model if (old.urn, old.id, old.delete) != mark]

    @rule(data=st.data())
    def doom(self, data: st.DataObject) -> None:
        """A replacement marks the live one in place."""
        if self.model:
            place = data.draw(st.integers(0, len(self.model) - 1))
            self.snapshot.resources[place].delete = self.model[place].delete = True

    @rule(old=URNS, new=URNS)
    def rename(self, old: str, new: str) -> None:
        self.snapshot.rename(old, new)
        for state in self.model:
            state.urn, state.parent = (new if each == old else each for each in (state.urn, state.parent))
            state.dependencies = [new if each == old else each for each in state.dependencies]
            state.provider = f"{state.parent}::p"

    @invariant()
    def is_the_list(self) -> None:
        assert self.snapshot.resources == self.model
        for number in range(4):
            live = [state for state in self.model if state.urn == urn(number) and not state.delete]
            assert self.snapshot.get(urn(number)) == (live[0] if live else None)
        assert list(self.snapshot.doomed()) == [state for state in self.model if state.delete]
        assert len(self.snapshot.ordered()) == len(self.model)


TestNamed = Named.TestCase
