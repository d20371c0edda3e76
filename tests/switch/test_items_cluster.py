"""The switch's items in ConfigMaps, against an API that a test scripts."""

from datetime import UTC, datetime, timedelta

import pytest
from fake_cluster import FakeCluster
from turnout_components.cluster_api import ClusterError
from turnout_components.items import LARGE, Conflict, Holder, RecordError, TableMissing
from turnout_components.items_cluster import ClusterItems, name_of
from turnout_components.switch_record import RecordStore, SwitchRecord

KEY, SPACE = "svc/prod", "turnout-switch"


@pytest.fixture
def api():
    return FakeCluster(SPACE)


def items(api):
    return ClusterItems(api, SPACE)


def test_a_body_comes_back_as_it_was_written_also_a_large_one(api):
    assert items(api).read(KEY) is None
    items(api).write(KEY, "small", 0)
    assert items(api).read(KEY) == "small"
    items(api).write(KEY, "x" * (LARGE + 1), 1)
    assert items(api).read(KEY) == "x" * (LARGE + 1)
    assert len(str(api.get("ConfigMap", SPACE, "svc.prod"))) < 1000


def test_who_writes_on_what_was_read_before_another_write_is_refused(api):
    mine, others = items(api), items(api)
    mine.write(KEY, "a", 0)
    assert (mine.read(KEY), others.read(KEY)) == ("a", "a")
    others.write(KEY, "b", 1)
    with pytest.raises(Conflict, match="somebody else"):
        mine.write(KEY, "c", 1)
    assert mine.read(KEY) == "b"
    with pytest.raises(Conflict):
        items(api).write(KEY, "c", 0)
    with pytest.raises(Conflict):
        items(api).write(KEY, "c", 7)


def test_two_who_write_at_one_moment_do_not_both_succeed(api):
    mine, others = items(api), items(api)
    mine.write(KEY, "a", 0)
    others.read(KEY)
    api.before = lambda: others.write(KEY, "b", 1)
    with pytest.raises(Conflict):
        mine.write(KEY, "c", 1)
    assert items(api).read(KEY) == "b"


@pytest.mark.parametrize("generation", [0, 1])
def test_a_write_whose_answer_was_lost_is_recognised(api, generation):
    mine = items(api)
    if generation:
        mine.write(KEY, "a", 0)
    api.lost = 1
    mine.write(KEY, "b", generation)
    assert items(api).read(KEY) == "b"
    mine.write(KEY, "c", generation + 1)


def test_a_cluster_that_stays_away_is_told(api):
    def away(*_):
        api.lost = 9

    away()
    api.replace = api.create = lambda *_: api._answered({})
    with pytest.raises(RecordError, match="may not be written"):
        items(api).write(KEY, "b", 0)


def test_a_deleted_item_is_a_conflict_and_no_new_one(api):
    mine = items(api)
    mine.write(KEY, "a", 0)
    api.objects.clear()
    with pytest.raises(Conflict):
        mine.write(KEY, "b", 1)


def test_a_missing_namespace_names_init_both_when_read_and_when_written(api):
    api.namespaces.clear()
    with pytest.raises(TableMissing, match="turnout init"):
        items(api).read(KEY)
    with pytest.raises(TableMissing, match="turnout init"):
        items(api).write(KEY, "a", 0)


def test_who_may_not_read_namespaces_reads_items(api):
    get = api.get

    def refused(kind, *place):
        if kind == "Namespace":
            raise ClusterError("forbidden")
        return get(kind, *place)

    api.get = refused
    assert items(api).read(KEY) is None


def test_what_another_version_wrote_is_named(api):
    items(api).write(KEY, "a", 0)
    del api.objects["ConfigMap", SPACE, "svc.prod"]["data"]["body"]
    with pytest.raises(RecordError, match="another version of Turnout"):
        items(api).read(KEY)


def test_the_lease_tells_who_holds_the_claim_and_that_nobody_does(api):
    now = datetime.now(UTC)
    mine = items(api)
    mine.write(KEY, "a", 0, Holder("ann@host", now, now + timedelta(seconds=30)))
    spec = api.get("Lease", SPACE, "svc.prod")["spec"]
    assert (spec["holderIdentity"], spec["leaseDurationSeconds"]) == ("ann@host", 30)
    mine.write(KEY, "b", 1)
    assert api.get("Lease", SPACE, "svc.prod")["spec"] == {}
    mine.write(KEY, "c", 2)
    assert api.writes.count("patch Lease svc.prod") == 2


def test_a_lease_that_cannot_be_written_undoes_nothing(api):
    api.patch = lambda *_, **__: (_ for _ in ()).throw(ClusterError("forbidden"))
    items(api).write(KEY, "a", 0)
    assert items(api).read(KEY) == "a"


def test_names_are_ones_that_kubernetes_takes_and_no_two_share_one():
    keys = ["svc/prod", "svc.prod", "svc-prod", "Svc/prod", "svc/prod/rollouts/", "svc/prod/rollouts/r1", "a/" + "x" * 300]
    names = [name_of(key) for key in keys]
    assert names[0] == "svc.prod"
    assert len(set(names)) == len(names)
    for name in names:
        assert len(name) <= 253
        assert name == name.lower().strip("-.")
        assert "/" not in name


def test_the_switch_record_lives_there_as_it_does_in_a_table(api):
    store = RecordStore(items(api), "svc", "prod")
    written = store.write(SwitchRecord(key=store.key))
    assert store.read() == written
    assert store.update(lambda record: record.changed(rollout="r")).generation == 2
