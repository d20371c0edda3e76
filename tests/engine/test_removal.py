"""Deletes: dependents first, and nothing that somebody still needs."""

SHARED = """
base = Thing("base", opts=on())
a = Thing("a", tags={"of": base.serial}, opts=on())
for name in "xyz":
    Thing(name, tags={"of": a.serial}, opts=on())
Thing("alone", opts=on())
"""


def test_what_several_need_goes_after_the_last_of_them(bench) -> None:
    bench.up(SHARED)
    bench.cloud.calls.clear()
    assert bench.deployment().destroy().exit_code == 0
    calls = [call for call in bench.cloud.calls if call != "delete alone"]
    assert set(calls[:3]) == {"delete x", "delete y", "delete z"}
    assert calls[3:] == ["delete a", "delete base"]
    assert bench.store().load().resources == []


def test_a_failed_delete_keeps_what_it_needs_and_no_more(bench) -> None:
    bench.up(SHARED)
    bench.cloud.fail["delete:y"] = "still in use"
    result = bench.deployment(parallel=1).destroy()
    assert (result.exit_code, result.errors) == (1, ["still in use"])
    assert set(bench.things()) == {"base", "a", "y"}
    bench.cloud.fail.clear()
    assert bench.deployment().destroy().exit_code == 0
    assert bench.cloud.objects() == {}


def test_replaced_resources_and_those_that_took_their_names_keep_each_other_from_nothing(bench) -> None:
    """Who needs whom was turned round by a replacement whose delete failed: each URN is needed by the other's."""
    bench.up('y = Thing("y", opts=on())\nx = Thing("x", color="red", tags={"of": y.serial}, opts=on())')
    bench.cloud.fail["delete:x"] = "still in use"
    turned = 'x = Thing("x", color="blue", opts=on())\nThing("y", tags={"of": x.serial}, opts=on())'
    assert bench.up(turned).exit_code == 1
    bench.cloud.fail.clear()
    bench.cloud.calls.clear()
    assert bench.deployment().destroy().exit_code == 0
    assert bench.cloud.objects() == {}
    assert bench.store().load().resources == []
    assert [call for call in bench.cloud.calls if call.startswith("delete")] == ["delete x", "delete y", "delete x"]


def test_a_circle_in_the_state_is_deleted_whole_and_a_failure_in_it_ends_the_run(bench) -> None:
    """No program makes one; an import of an edited state may (docs/local-engine.md)."""
    bench.up('a = Thing("a", opts=on())\nb = Thing("b", tags={"of": a.serial}, opts=on())\nThing("alone", opts=on())')
    store = bench.store()
    snapshot = store.load()
    a, b = (next(state for state in snapshot.resources if state.name == name) for name in "ab")
    a.dependencies = [b.urn]
    store.save(snapshot)
    for name in "ab":
        bench.cloud.fail[f"delete:{name}"] = "still in use"
    assert bench.deployment().destroy().errors == ["still in use"]
    bench.cloud.fail.clear()
    assert bench.deployment().destroy().exit_code == 0
    assert bench.cloud.objects() == {}
