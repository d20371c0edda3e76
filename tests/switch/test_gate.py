"""The gate's effects, against an in-memory cloud: order, floors, claims, failures."""

import asyncio
from datetime import timedelta

import pytest
from fakes import BLUE_TG, GREEN_TG, LISTENER, START, Clock, FakeCloud, FakeDynamoDB, FakeStepDowns
from test_resolve import BLUE, ELSEWHERE, GREEN, ONE, THREE, TWO, claim, config
from turnout_components.gate import Candidate, SwitchGate, decide
from turnout_components.items import DynamoItems
from turnout_components.live import Target
from turnout_components.resolve import SwitchRefused
from turnout_components.standby import Keep, Launch
from turnout_components.switch_record import EnvironmentState, Operator, RecordStore, Retained, SwitchRecord, Traffic

ME = Operator(name="bob", host="here", pid=2)
STATES = {
    "blue": EnvironmentState(target_group=BLUE_TG, group="g-blue", release=ONE),
    "green": EnvironmentState(target_group=GREEN_TG, group="g-green", release=TWO),
}
CANDIDATES = {
    "blue": Candidate(BLUE_TG, "g-blue", ONE, 2, 6),
    "green": Candidate(GREEN_TG, "g-green", TWO, 2, 6),
}


class World:
    """A deployed service with blue active and a healthy standby."""

    def __init__(self) -> None:
        self.db, self.cloud, self.clock = FakeDynamoDB(), FakeCloud({BLUE_TG: 100, GREEN_TG: 0}), Clock()
        self.store = RecordStore(DynamoItems(self.db, "turnout-switch"), "s", "dev")
        self.store.write(SwitchRecord(key="s/dev", listener=LISTENER, traffic=BLUE, config_base=BLUE, environments=STATES))
        self.cloud.serve("g-blue", BLUE_TG, 2)
        self.cloud.serve("g-green", GREEN_TG, 2)
        self.said: list[str] = []
        self.step_downs = FakeStepDowns()

    async def _sleep(self, seconds: float) -> None:
        if seconds >= 5:  # the claim's renewal: it never comes due in these tests
            await asyncio.Event().wait()
        self.clock.sleep_now(seconds)
        await asyncio.sleep(0)

    def gate(self, wish=None, timeout: float = 5) -> SwitchGate:
        return SwitchGate(
            self.store,
            self.cloud,  # type: ignore[arg-type]
            wish or config(GREEN),
            timeout=timedelta(seconds=timeout),
            step_downs=self.step_downs,  # type: ignore[arg-type]
            operator=ME,
            notify=self.said.append,
            clock=self.clock,
            sleep=self._sleep,
        )

    @property
    def record(self) -> SwitchRecord:
        found = self.store.read()
        assert found is not None
        return found


@pytest.fixture
def world() -> World:
    return World()


async def test_a_flip_claims_waits_and_is_recorded(world):
    gate = world.gate()
    await gate.before(CANDIDATES, GREEN.weights)
    assert world.record.claim.to == GREEN
    assert world.record.traffic == BLUE
    world.cloud.set_weights(LISTENER, {BLUE_TG: 0, GREEN_TG: 100})
    await gate.after(LISTENER, CANDIDATES)
    record = world.record
    assert (record.traffic, record.config_base, record.claim, record.flipped_at) == (GREEN, GREEN, None, START)
    assert (record.retained.environment, record.retained.release, record.retained.minimum) == ("blue", ONE, 2)
    assert record.floors["green"].minimum == 2
    assert record.history[-1].kind == "flip"


async def test_an_autoscaled_active_hands_over_to_as_many(world):
    world.cloud.serve("g-blue", BLUE_TG, 5)
    world.cloud.serve("g-green", GREEN_TG, 1)
    world.cloud.on_set_minimum = lambda name, n: world.cloud.serve(name, GREEN_TG, n, minimum=n)
    gate = world.gate()
    await gate.before(CANDIDATES, GREEN.weights)
    assert "minimum g-green 5" in world.cloud.calls
    assert world.record.claim.floors == {"green": 5}
    assert world.record.claim.retained.minimum == 5


async def test_the_active_growing_while_the_gate_waits_raises_the_floor_again(world):
    world.cloud.serve("g-green", GREEN_TG, 1)

    def grow(name: str, n: int) -> None:
        if n == 2:
            world.cloud.serve("g-blue", BLUE_TG, 4)
        world.cloud.serve(name, GREEN_TG, n, minimum=n)

    world.cloud.serve("g-green", GREEN_TG, 1)
    world.cloud.on_set_minimum = grow
    await world.gate().before(CANDIDATES, GREEN.weights)
    assert world.record.claim.floors == {"green": 4}


async def test_what_a_move_adds_to_the_side_that_gains_does_not_raise_its_own_floor(world):
    canary = Traffic(active="blue", weights={"blue": 90, "green": 10})
    world.store.update(lambda r: r.changed(traffic=canary, config_base=canary))
    world.cloud.listener_weights = {BLUE_TG: 90, GREEN_TG: 10}
    world.cloud.on_set_minimum = lambda name, n: world.cloud.serve(name, GREEN_TG, n, minimum=n)
    await world.gate().before(CANDIDATES, GREEN.weights)
    assert world.record.claim.floors == {"green": 4}
    assert world.cloud.calls == ["minimum g-green 4"]


async def test_a_parity_above_the_maximum_is_refused_and_nothing_is_raised(world):
    world.cloud.serve("g-blue", BLUE_TG, 7)
    with pytest.raises(SwitchRefused, match="turnout:pool.maximum to 7"):
        await world.gate().before(CANDIDATES, GREEN.weights)
    assert world.cloud.calls == []
    assert world.record.claim is None


@pytest.mark.parametrize("state", ["unhealthy", "initial", "draining", "unused"])
async def test_a_candidate_that_is_not_healthy_keeps_the_weights_and_releases_the_claim(world, state):
    world.cloud.serve("g-green", GREEN_TG, 2, state=state)
    with pytest.raises(SwitchRefused, match=f"0 of 2 healthy targets of g-green.*i-g-green-0 {state}"):
        await world.gate().before(CANDIDATES, GREEN.weights)
    assert world.cloud.listener_weights == {BLUE_TG: 100, GREEN_TG: 0}
    assert (world.record.traffic, world.record.claim) == (BLUE, None)


async def test_healthy_targets_of_another_release_s_group_do_not_count(world):
    world.cloud.health[GREEN_TG] = [Target("i-old-0", "healthy"), Target("i-old-1", "healthy")]
    with pytest.raises(SwitchRefused, match="0 of 2 healthy"):
        await world.gate().before(CANDIDATES, GREEN.weights)


async def test_a_failed_gate_puts_a_raised_minimum_back(world):
    world.cloud.serve("g-blue", BLUE_TG, 5)
    world.cloud.serve("g-green", GREEN_TG, 1, minimum=1)
    with pytest.raises(SwitchRefused):
        await world.gate().before(CANDIDATES, GREEN.weights)
    assert world.cloud.calls == ["minimum g-green 5", "restore g-green 1"]


async def test_a_failed_gate_arranges_again_the_step_downs_that_it_took_back(world):
    world.cloud.serve("g-green", GREEN_TG, 0)
    with pytest.raises(SwitchRefused, match="not ready"):
        await world.gate().before(CANDIDATES, GREEN.weights)
    assert world.step_downs.calls == ["clear g-green", "tend blue 100 / green 0 keep full, not what is due"]


async def test_a_side_that_stepped_down_meanwhile_gets_its_whole_maximum_back(world):
    world.cloud.serve("g-green", GREEN_TG, 0, minimum=0, maximum=0)
    world.clock.on_sleep = lambda: world.cloud.serve("g-green", GREEN_TG, 2, minimum=2, maximum=maximum)
    maximum = 0

    def stay(name, minimum):  # noqa: ARG001
        nonlocal maximum
        maximum = world.cloud.groups["g-green"].maximum

    world.cloud.on_set_minimum = stay
    await world.gate().before(CANDIDATES, GREEN.weights)
    assert world.cloud.groups["g-green"].maximum == CANDIDATES["green"].maximum


async def test_how_long_the_standby_is_kept_counts_from_the_flip(world):
    gate = world.gate()
    await gate.before(CANDIDATES, GREEN.weights)
    world.clock.sleep_now(7)
    world.cloud.set_weights(LISTENER, {BLUE_TG: 0, GREEN_TG: 100})
    await gate.after(LISTENER, CANDIDATES)
    assert world.record.retained.until == world.record.flipped_at + timedelta(hours=24)


async def test_a_second_operator_is_told_who_moves_traffic(world):
    world.store.update(lambda r: r.changed(claim=claim()))
    with pytest.raises(SwitchRefused, match="ann@another-host"):
        await world.gate().before(CANDIDATES, GREEN.weights)


async def test_of_two_who_claim_at_the_same_moment_one_is_refused(world):
    world.db.before_put = lambda: world.store.update(lambda r: r.changed(claim=claim()))
    with pytest.raises(SwitchRefused, match="somebody else began"):
        await world.gate().before(CANDIDATES, GREEN.weights)
    assert world.record.claim.by == ELSEWHERE


async def test_weights_that_the_program_declared_on_stale_facts_are_refused(world):
    world.store.update(lambda r: r.changed(config_base=GREEN))
    with pytest.raises(SwitchRefused, match="changed since the update began"):
        await world.gate().before(CANDIDATES, GREEN.weights)


async def test_a_claim_broken_in_mid_flip_puts_the_weights_back(world):
    gate = world.gate()
    await gate.before(CANDIDATES, GREEN.weights)
    world.store.update(lambda r: r.rolled_back(BLUE, START, "ann", TWO, "slow", {}))
    world.cloud.set_weights(LISTENER, {BLUE_TG: 0, GREEN_TG: 100})
    with pytest.raises(SwitchRefused, match="weights are back at blue 100"):
        await gate.after(LISTENER, CANDIDATES)
    assert world.cloud.listener_weights == {BLUE_TG: 100, GREEN_TG: 0}
    assert world.record.traffic == BLUE


async def test_a_claim_broken_while_the_gate_waits_ends_the_wait(world):
    world.cloud.serve("g-green", GREEN_TG, 2, state="initial")
    gate = world.gate(timeout=600)

    def break_then_heal() -> None:
        if world.clock.now > START + timedelta(seconds=3):
            world.cloud.serve("g-green", GREEN_TG, 2)
            world.store.update(lambda r: r.changed(claim=None))

    world.clock.on_sleep = break_then_heal
    with pytest.raises(SwitchRefused, match="called off"):
        await gate.before(CANDIDATES, GREEN.weights)


async def test_a_new_release_on_the_standby_is_entered_without_a_gate(world):
    world.cloud.health[BLUE_TG] = [Target("i-g-blue-0", "unhealthy")]
    candidates = {**CANDIDATES, "green": Candidate(GREEN_TG, "g-green-3", THREE, 2, 6)}
    gate = world.gate(config(BLUE, green=THREE))
    await gate.before(candidates, BLUE.weights)
    await gate.after(LISTENER, candidates)
    assert world.record.environments["green"] == EnvironmentState(target_group=GREEN_TG, group="g-green-3", release=THREE)
    assert world.record.history[-1].kind == "deploy"
    assert world.record.traffic == BLUE


async def test_a_new_release_is_in_the_record_before_the_listener_changes(world):
    """An update that is killed after that has no change left that would bring it back to the hooks."""
    candidates = {**CANDIDATES, "green": Candidate(GREEN_TG, "g-green-3", THREE, 2, 6)}
    await world.gate(config(BLUE, green=THREE)).before(candidates, BLUE.weights)
    assert world.record.environments["green"].release == THREE
    assert world.record.history[-1].kind == "deploy"
    world.cloud.serve("g-green-3", GREEN_TG, 2)
    await world.gate(config(GREEN, green=THREE)).before(candidates, GREEN.weights)
    assert world.record.claim is not None
    assert world.record.environments["green"].group == "g-green-3", "who calls the move off marks this release"


@pytest.mark.parametrize(("release", "stays"), [(TWO, True), (THREE, False)])
async def test_a_standby_whose_release_was_replaced_is_kept_for_rollback_no_more(world, release, stays):
    kept = Retained(environment="green", release=TWO, minimum=2)
    world.store.update(lambda record: record.changed(retained=kept))
    candidates = {**CANDIDATES, "green": Candidate(GREEN_TG, "another-group", release, 2, 6)}
    await world.gate(config(BLUE, green=release)).before(candidates, BLUE.weights)
    assert (world.record.retained == kept) is stays
    assert world.record.environments["green"].group == "another-group"


async def test_an_update_that_changes_neither_traffic_nor_releases_writes_nothing(world):
    generation = world.record.generation
    await world.gate(config(BLUE)).before(CANDIDATES, BLUE.weights)
    assert world.record.generation == generation


async def test_the_first_deployment_waits_for_its_minimum_and_makes_the_record():
    world = World()
    world.db.items.clear()
    world.cloud.listener_weights = None
    world.cloud.serve("g-blue", BLUE_TG, 1, minimum=2)
    gate = world.gate(config(BLUE))
    world.clock.on_sleep = lambda: world.cloud.serve("g-blue", BLUE_TG, 2, minimum=2)
    await gate.before(CANDIDATES, BLUE.weights)
    await gate.after(LISTENER, CANDIDATES)
    assert (world.record.traffic, world.record.listener, world.record.flipped_at) == (BLUE, LISTENER, None)
    assert any("1 of 2 healthy" in line for line in world.said)


async def test_a_first_deployment_that_was_cut_off_before_its_record_is_settled(world):
    world.db.items.clear()
    world.cloud.listener_weights = None
    await world.gate(config(BLUE)).before(CANDIDATES, BLUE.weights)
    world.cloud.listener_weights = {BLUE_TG: 100, GREEN_TG: 0}
    with pytest.raises(SwitchRefused, match="bob@here .* is moving traffic: none → blue 100 / green 0"):
        decide(world.store, world.cloud, config(BLUE), settle=True, clock=world.clock)  # type: ignore[arg-type]
    world.clock.now += timedelta(minutes=1)
    decision = decide(world.store, world.cloud, config(BLUE), settle=True, clock=world.clock)  # type: ignore[arg-type]
    assert (decision.moves, decision.traffic) == (False, BLUE)
    record = world.record
    assert (record.traffic, record.listener, record.claim, record.environments) == (BLUE, LISTENER, None, STATES)
    assert [entry.kind for entry in record.history] == ["create", "settle"]


def test_decide_settles_the_record_only_when_asked(world):
    world.cloud.listener_weights = {BLUE_TG: 0, GREEN_TG: 100}
    decide(world.store, world.cloud, config(GREEN), settle=False, clock=world.clock)
    assert world.record.traffic == BLUE
    decide(world.store, world.cloud, config(GREEN), settle=True, clock=world.clock)
    assert world.record.traffic == GREEN


async def test_an_error_without_words_gets_some_since_an_empty_one_would_count_as_success(world):
    def fail(name: str) -> None:  # noqa: ARG001
        raise TimeoutError

    world.cloud.group = fail
    with pytest.raises(SwitchRefused, match="TimeoutError"):
        await world.gate().before(CANDIDATES, GREEN.weights)
    assert world.record.claim is None


async def flipped(world, gate) -> None:
    await gate.before(CANDIDATES, GREEN.weights)
    world.cloud.set_weights(LISTENER, {BLUE_TG: 0, GREEN_TG: 100})
    await gate.after(LISTENER, CANDIDATES)


async def test_who_gains_traffic_steps_down_no_more_and_who_loses_it_is_arranged_for(world):
    await flipped(world, world.gate(config(GREEN, keep=Keep.WARM)))
    assert world.step_downs.calls == ["clear g-green", "tend green 100 / blue 0 keep warm"]
    assert world.record.step_down_role == FakeStepDowns.role_arn
    assert world.record.retained.maximum == CANDIDATES["blue"].maximum
    assert world.said[-1] == "g-blue becomes warm"


async def test_a_step_down_that_cannot_be_taken_back_aborts_the_move(world):
    world.step_downs.fails = SwitchRefused("step-downs of g-green cannot be taken back")
    with pytest.raises(SwitchRefused, match="cannot be taken back"):
        await world.gate().before(CANDIDATES, GREEN.weights)
    assert world.record.claim is None
    assert world.cloud.listener_weights == {BLUE_TG: 100, GREEN_TG: 0}


async def test_a_step_down_that_cannot_be_arranged_does_not_hide_that_traffic_moved(world):
    gate = world.gate()
    await gate.before(CANDIDATES, GREEN.weights)
    world.step_downs.fails = OSError("no network")
    world.cloud.set_weights(LISTENER, {BLUE_TG: 0, GREEN_TG: 100})
    await gate.after(LISTENER, CANDIDATES)
    assert world.record.traffic == GREEN
    assert "step-down is not arranged (OSError: no network); the next up does it" in world.said[-1]


async def test_the_time_that_a_side_will_take_is_told_before_the_wait(world):
    world.cloud.serve("g-green", GREEN_TG, 0)
    world.cloud.warm_instances = {"g-green": 2}
    world.cloud.past_launches = {"g-green": [Launch(20, True), Launch(30, True), Launch(200, False)]}
    world.clock.on_sleep = lambda: world.cloud.serve("g-green", GREEN_TG, 2, minimum=2)
    await world.gate().before(CANDIDATES, GREEN.weights)
    assert world.said[0] == "green is ready in about 25 s (2 from the warm pool; median of 2)"
    assert world.said[1].startswith("waiting: ")


@pytest.mark.parametrize(("settle", "calls"), [(True, ["tend blue 100 / green 0 keep full"]), (False, [])])
def test_every_update_puts_the_step_downs_right_and_no_preview_does(world, settle, calls):
    decide(world.store, world.cloud, config(BLUE), settle=settle, step_downs=world.step_downs)
    assert world.step_downs.calls == calls


def test_an_update_that_moves_traffic_leaves_the_step_downs_to_its_gate(world):
    decide(world.store, world.cloud, config(GREEN), settle=True, step_downs=world.step_downs)
    assert world.step_downs.calls == []


async def test_a_launch_that_fails_is_told_while_it_waits_and_in_the_refusal(world):
    world.cloud.serve("g-green", GREEN_TG, 0)
    world.cloud.failures = {"g-green": "Could not launch On-Demand Instances. InsufficientInstanceCapacity"}
    line = "the last launch of g-green failed: Could not launch On-Demand Instances. InsufficientInstanceCapacity"
    with pytest.raises(SwitchRefused, match="the last launch of g-green failed: Could not launch On-Demand"):
        await world.gate(timeout=60).before(CANDIDATES, GREEN.weights)
    assert world.said.count(line) == 1


async def test_weights_that_are_written_and_not_in_force_are_taken_back(world):
    gate = world.gate()
    await gate.before(CANDIDATES, GREEN.weights)
    world.cloud.set_weights(LISTENER, {BLUE_TG: 0, GREEN_TG: 100})
    world.cloud.refuses = "Gateway gw says Accepted is False"
    with pytest.raises(SwitchRefused, match="not in force: Gateway gw says Accepted is False; .* blue 100 / green 0 again"):
        await gate.after(LISTENER, CANDIDATES)
    assert world.cloud.listener_weights == {BLUE_TG: 100, GREEN_TG: 0}
    assert (world.record.traffic, world.record.claim) == (BLUE, None)


async def test_a_first_deployment_that_is_not_in_force_is_not_recorded_as_done(world):
    world.db.items.clear()
    world.cloud.listener_weights = None
    gate = world.gate(config(BLUE))
    await gate.before(CANDIDATES, BLUE.weights)
    world.cloud.refuses = "0 of its 1 Gateways have said anything of it"
    with pytest.raises(SwitchRefused, match="is written and not in force: 0 of its 1 Gateways"):
        await gate.after(LISTENER, CANDIDATES)
    assert world.record.traffic is None
