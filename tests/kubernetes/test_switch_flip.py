"""The switch against a real API server, scheduler and controllers: flips, refusals, conflicts, kills, and the way back."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from switched_service import BLUE_RELEASE, GREEN_RELEASE, RELEASES, Service, controller
from turnout_components.gate import LEASE, decide
from turnout_components.items import Conflict
from turnout_components.live import utc_now
from turnout_components.resolve import SwitchRefused
from turnout_components.rollback import rollback
from turnout_components.standby import StandbyPolicy
from turnout_components.step_down_cluster import PLAN
from turnout_components.switch_record import Operator

NOBODY = Operator(name="ann", host="elsewhere", pid=1)


@pytest.fixture
def service(cluster, namespace):
    """Blue serves with two pods and has all traffic; green has two pods of another release."""
    made = Service(cluster.kubeconfig, namespace)
    made.expose()
    made.groups["blue"] = made.deploy("blue", 2)
    with controller(made):
        asyncio.run(made.move("blue"))
        made.groups["green"] = made.deploy("green", 2)
        yield made


def test_a_flip_waits_for_the_pods_moves_all_traffic_and_is_recorded(service):
    asyncio.run(service.move("green"))
    record = service.store.read()
    assert (service.weights, record.traffic.active) == ({"blue": 0, "green": 100}, "green")
    assert record.listener == service.listener
    assert record.retained.minimum == 2
    assert {name: state.group for name, state in record.environments.items()} == service.groups
    targets = service.view.targets(service.service("green"))
    assert {t.id for t in targets if t.state == "healthy"} == service.view.group(service.groups["green"]).in_service
    blue = service.api.get("Deployment", service.namespace, "svc-blue-1")
    assert "turnout-retain-end" in blue["metadata"]["annotations"][PLAN]


def test_while_a_move_is_claimed_the_lease_tells_by_whom_and_another_update_is_refused(service):
    async def both():
        first, second = service.gate("green", operator=NOBODY), service.gate("green")
        await service.before(first, "green")
        holder = service.api.get("Lease", service.namespace, "svc.prod")["spec"]
        with pytest.raises(SwitchRefused, match="ann@elsewhere .* is moving traffic"):
            await service.before(second, "green")
        await asyncio.to_thread(service.engine_writes, "green")
        await first.after(service.listener, service.candidates())
        return holder

    holder = asyncio.run(both())
    assert holder["holderIdentity"] == str(NOBODY)
    assert 1 <= holder["leaseDurationSeconds"] <= LEASE.total_seconds()
    assert "holderIdentity" not in service.api.get("Lease", service.namespace, "svc.prod")["spec"]


def test_pods_without_a_node_carry_nothing_and_the_reason_is_told(service):
    service.groups["green"] = service.deploy("green", 2, version="2", nowhere="true")
    with pytest.raises(SwitchRefused, match=r"0 of 2 healthy targets .*has no node \(Unschedulable\)"):
        asyncio.run(service.move("green", timeout=2))
    assert service.weights == {"blue": 100, "green": 0}
    assert service.store.read().claim is None


def test_ready_pods_of_another_release_do_not_count(service):
    green = service.service("green")
    service.until(lambda: sum(t.state == "healthy" for t in service.view.targets(green)) == 2, "green's pods are ready")
    service.groups["green"] = service.deploy("green", 1, version="2", nowhere="true")
    with pytest.raises(SwitchRefused, match="0 of 2 healthy targets"):
        asyncio.run(service.move("green", timeout=2))
    assert service.weights == {"blue": 100, "green": 0}


def test_two_operators_who_write_the_record_at_one_moment_do_not_both_succeed(service):
    mine, others = service.store_of(), service.store_of()
    seen, same = mine.read(), others.read()
    others.write(same.changed(rollout="theirs"))
    with pytest.raises(Conflict):
        mine.write(seen.changed(rollout="mine"))
    assert service.store.read().rollout == "theirs"


def test_killed_between_the_two_writes_the_next_update_completes_the_move(service):
    async def killed():
        gate = service.gate("green", operator=NOBODY)
        await service.before(gate, "green")
        await asyncio.to_thread(service.engine_writes, "green")

    asyncio.run(killed())
    assert service.store.read().traffic.active == "blue"
    config = service.gate("green")._config
    decision = decide(service.store, service.view, config, settle=True, clock=lambda: utc_now() + 2 * LEASE)
    assert not decision.moves
    assert service.store.read().traffic.active == "green"


def test_a_claim_that_was_broken_puts_the_records_weights_back(service):
    async def broken():
        gate = service.gate("green", operator=NOBODY)
        await service.before(gate, "green")
        await asyncio.to_thread(service.store.update, lambda record: record.changed(claim=None))
        await asyncio.to_thread(service.engine_writes, "green")
        with pytest.raises(SwitchRefused, match="called off"):
            await gate.after(service.listener, service.candidates())

    asyncio.run(broken())
    assert service.weights == {"blue": 100, "green": 0}


def test_a_rollback_needs_no_update_to_end_and_breaks_its_claim(service):
    async def hanging():
        gate = service.gate("green", operator=NOBODY)
        await service.before(gate, "green")
        await asyncio.to_thread(service.engine_writes, "green")
        done = await asyncio.to_thread(rollback, service.store, service.view, operator=Operator.current())
        with pytest.raises(SwitchRefused, match="called off"):
            await gate.after(service.listener, service.candidates())
        return done

    done = asyncio.run(hanging())
    assert done.after.active == "blue"
    assert service.weights == {"blue": 100, "green": 0}
    assert [mark.release for mark in service.store.read().unstable.values()] == [GREEN_RELEASE]


def test_a_rollback_after_a_flip_takes_the_standby_as_large_as_it_was(service):
    asyncio.run(service.move("green"))
    service.view.hold(service.groups["blue"], 0)
    service.until(lambda: not service.view.group(service.groups["blue"]).in_service, "blue is gone")
    done = rollback(service.store, service.view, operator=Operator.current(), timeout=timedelta(seconds=60))
    assert (done.release, service.weights) == (BLUE_RELEASE, {"blue": 100, "green": 0})
    assert len(service.view.group(service.groups["blue"]).in_service) == 2


def test_weights_that_the_controller_refuses_are_taken_back(cluster, namespace):
    service = Service(cluster.kubeconfig, namespace)
    service.expose()
    service.groups |= {"blue": service.deploy("blue", 1), "green": service.deploy("green", 1)}
    with controller(service):
        asyncio.run(service.move("blue"))
    with (
        controller(service, takes=False),
        pytest.raises(SwitchRefused, match="not in force: Gateway gw says Accepted is False: NotAllowedByListeners"),
    ):
        asyncio.run(service.move("green", accept_within=2))
    assert service.weights == {"blue": 100, "green": 0}
    assert service.store.read().claim is None


def test_a_standby_whose_time_has_come_goes_cold_and_a_flip_back_wakes_it(service):
    asyncio.run(service.move("green"))
    record = service.store.read()
    later = record.changed(flipped_at=record.flipped_at - timedelta(hours=25))
    downs = service.gate("green")._step_downs
    (line,) = downs.tend(later, StandbyPolicy())
    assert "became cold" in line
    assert service.view.group(service.groups["blue"]).maximum == 0
    service.until(lambda: not service.view.group(service.groups["blue"]).present, "blue's pods are gone")
    assert downs.pending([service.groups["blue"]]) == {service.groups["blue"]: {}}
    asyncio.run(service.move("blue"))
    assert service.weights == {"blue": 100, "green": 0}


def test_a_step_down_with_nobody_present_is_a_cronjob_that_tests_the_plan(service):
    asyncio.run(service.move("green"))
    downs = type(service.gate("green")._step_downs)(service.connect(), image="registry.k8s.io/kubectl@sha256:" + "b" * 64)
    policy = replace(StandbyPolicy(), bake=timedelta(minutes=30))
    downs.tend(service.store.read(), policy)
    (job,) = service.api.list("CronJob", service.namespace)
    assert job["spec"]["timeZone"] == "Etc/UTC"
    (container,) = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    assert container["args"][:3] == ["patch", "deployment", "svc-blue-1"]
    downs.clear(service.groups["blue"])
    assert service.api.list("CronJob", service.namespace) == []
    assert set(RELEASES) == set(service.weights)
