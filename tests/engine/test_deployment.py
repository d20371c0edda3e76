"""Whole updates: the real SDK in a process of its own, the local engine, a provider in memory."""

TWO = """
a = Thing("a", size=1, opts=on())
b = Thing("b", size=2, tags={"of": a.serial}, opts=on())
pulumi.export("serial", a.serial)
"""


def test_a_first_update_creates_and_a_second_changes_nothing(bench):
    first = bench.up(TWO)
    assert (first.exit_code, first.errors) == (0, [])
    assert first.changes["create"] == 4  # stack, provider, a, b
    assert set(bench.things()) == {"a", "b"}
    assert first.outputs["serial"].startswith("serial-id-")
    bench.cloud.calls.clear()
    second = bench.up(TWO)
    assert second.exit_code == 0
    assert second.changes == {"same": 4}
    assert bench.cloud.calls == []
