"""The record's conditional writes and its words."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fakes import BLUE_TG, GREEN_TG, LISTENER, START, FakeDynamoDB
from hypothesis import given
from hypothesis import strategies as st
from test_gate import CANDIDATES, World
from test_resolve import BLUE, GREEN, ONE, claim
from turnout_components.items import Conflict, DynamoItems, RecordError, TableMissing
from turnout_components.live import shares
from turnout_components.naming import balancer_logical_name, group_name
from turnout_components.switch_record import Floor, Operator, RecordStore, Retained, SwitchRecord, Traffic


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def store() -> RecordStore:
    return RecordStore(DynamoItems(FakeDynamoDB(), "turnout-switch"), "s", "dev")


def test_a_write_on_a_stale_read_conflicts(store):
    first = store.write(SwitchRecord(key=store.key))
    store.write(first)
    with pytest.raises(Conflict):
        store.write(first)
    with pytest.raises(Conflict):
        store.write(SwitchRecord(key=store.key))


def test_update_tries_again_when_somebody_wrote_in_between():
    world = World()
    world.db.before_put = lambda: world.store.update(lambda r: r.changed(flipped_at=None))
    before = world.record.generation
    world.store.update(lambda r: r.acknowledged())
    assert world.record.generation == before + 2


def test_a_missing_table_names_turnout_init(store):
    store._items._client.missing = True
    with pytest.raises(TableMissing, match="turnout init"):
        store.read()


def test_an_item_of_another_version_is_refused_not_guessed(store):
    store._items._client.items[store.key] = {"generation": {"N": "1"}, "body": {"S": '{"key": "s/dev", "new_field": 1}'}}
    with pytest.raises(RecordError, match="another version of Turnout"):
        store.read()


@given(st.dictionaries(st.text(min_size=1), st.integers(0, 999), min_size=1, max_size=5))
def test_relative_weights_become_percent_that_sum_to_100(weights):
    percent = shares(weights)
    assert sum(percent.values()) == (100 if any(weights.values()) else 0)
    assert all((percent[k] == 0) for k, w in weights.items() if w == 0)


@given(st.text("abcdefghij-", min_size=1, max_size=60))
def test_names_fit_the_limits_of_aws(service):
    assert len(balancer_logical_name(service)) + 8 <= 32
    assert len(group_name(service[:40], "s" * 100, "green", "sha256:" + "0" * 64)) <= 255


def test_an_operator_is_gone_when_the_process_has_ended_even_if_nobody_has_reaped_it():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
    operator = Operator.current().model_copy(update={"pid": process.pid})
    assert not operator.is_gone()
    process.kill()
    if Path("/proc").exists():
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and stays a zombie
        assert operator.is_gone()
    process.communicate()
    assert operator.is_gone()
    assert not operator.model_copy(update={"host": "elsewhere"}).is_gone()


async def test_a_write_whose_answer_was_lost_and_that_was_sent_again_is_no_conflict(world):
    """Botocore sends it again and meets the generation that its own write has set: the flip was recorded all the same."""
    gate = world.gate()
    await gate.before(CANDIDATES, GREEN.weights)
    world.cloud.set_weights(LISTENER, {BLUE_TG: 0, GREEN_TG: 100})
    put = world.db.put_item

    def sent_twice(**request: Any) -> None:
        world.db.put_item = put
        put(**request)
        put(**request)

    world.db.put_item = sent_twice
    await gate.after(LISTENER, CANDIDATES)
    assert (world.record.traffic, world.record.claim) == (GREEN, None)
    assert world.record.history[-1].kind == "flip"


def test_a_move_of_shares_keeps_the_floor_of_who_carries_on(world):
    part = Traffic(active="blue", weights={"blue": 90, "green": 10})
    before = world.record.changed(floors={"blue": Floor(minimum=5), "green": Floor(minimum=9)})
    after = before.confirmed(claim(part, floors={"green": 2}), START)
    assert {name: floor.minimum for name, floor in after.floors.items()} == {"blue": 5, "green": 2}
    assert "blue" not in after.confirmed(claim(GREEN, floors={"green": 5}), START).floors


def test_a_rollback_that_was_killed_before_it_wrote_leaves_the_environment_its_size(world):
    kept = Retained(environment="blue", release=ONE, minimum=5)
    settled = world.record.changed(traffic=GREEN, retained=kept).settled(BLUE, START)
    assert (settled.traffic, settled.retained, settled.floors["blue"].minimum) == (BLUE, None, 5)
