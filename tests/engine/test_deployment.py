"""Whole updates: the real SDK in a process of its own, the local engine, a provider in memory."""

from turnout.engine.plan import with_secrets
from turnout.engine.values import Secret

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


def test_a_preview_writes_nothing_and_says_what_up_would_do(bench):
    result = bench.preview(TWO)
    assert (result.exit_code, result.changes) == (0, {"create": 4})
    assert bench.cloud.calls == []
    assert not (bench.folder / "home").exists()


def test_one_changed_property_updates_in_place_and_its_dependent_sees_it(bench):
    bench.up(TWO)
    result = bench.up(TWO.replace("size=1", "size=5"))
    assert result.changes == {"same": 3, "update": 1}
    assert bench.things()["a"]["inputs"]["size"] == 5


def test_a_preview_of_an_update_knows_stable_outputs_and_not_volatile_ones(bench):
    body = 'a = Thing("a", size=1, opts=on())\nThing("b", tags={"s": a.serial, "v": a.version}, opts=on())'
    bench.up(body)
    bench.events.clear()
    result = bench.preview(body.replace("size=1", "size=2"))
    assert result.changes == {"same": 2, "update": 2}
    serial = bench.store().load().resources[-1].inputs["tags"]["s"]
    steps = [e["resOutputsEvent"]["metadata"] for e in bench.events if "resOutputsEvent" in e]
    b = next(step for step in steps if step["urn"].endswith("::b"))
    assert b["new"]["inputs"]["tags"] == {"s": serial, "v": "[unknown]"}


def test_a_replacement_is_made_under_a_new_name_before_the_old_one_is_deleted(bench):
    bench.up('Thing("a", color="red", opts=on())')
    old = bench.things()["a"]["inputs"]["name"]
    bench.cloud.calls.clear()
    result = bench.up('Thing("a", color="blue", opts=on())')
    assert result.exit_code == 0
    assert bench.cloud.calls == ["create a", "delete a"]
    assert bench.things()["a"]["inputs"]["name"] != old
    assert len(bench.cloud.objects()) == 1
    assert bench.up('Thing("a", color="blue", opts=on())').changes == {"same": 3}


def test_delete_before_replace_deletes_first_and_may_keep_a_given_name(bench):
    body = 'Thing("a", token="test:index:First", name="fixed", color="{}", opts=on())'
    bench.up(body.format("red"))
    bench.cloud.calls.clear()
    assert bench.up(body.format("blue")).exit_code == 0
    assert bench.cloud.calls == ["delete fixed", "create fixed"]


def test_a_replacement_that_keeps_the_name_the_program_gives_is_made_after_the_old_one_is_deleted(bench):
    body = 'Thing("a", name="{}", color="{}", opts=on({}))'
    bench.up(body.format("fixed", "red", ""))
    bench.cloud.calls.clear()
    assert bench.up(body.format("fixed", "blue", "")).exit_code == 0
    assert bench.cloud.calls == ["delete fixed", "create fixed"]
    bench.cloud.calls.clear()
    assert bench.up(body.format("other", "red", "")).exit_code == 0
    assert bench.cloud.calls == ["create other", "delete fixed"]
    assert "name other is taken" in str(bench.up(body.format("other", "blue", "delete_before_replace=False")).errors)


def test_what_the_program_no_longer_has_is_deleted_dependents_first(bench):
    bench.up(TWO)
    bench.cloud.calls.clear()
    assert bench.up("").changes == {"same": 2, "delete": 2}
    assert bench.cloud.calls == ["delete b", "delete a"]


def test_a_failed_program_deletes_nothing(bench):
    bench.up(TWO)
    result = bench.up('a = Thing("a", size=1, opts=on())\nraise ValueError("no idea")')
    assert result.exit_code == 1
    assert set(bench.things()) == {"a", "b"}
    assert "error: the program failed at main.py:" in bench.said("info#err")
    assert "no idea" in bench.said("info#err")


def test_a_protected_resource_keeps_every_delete_from_happening(bench):
    bench.up('Thing("a", opts=on(protect=True))\nThing("b", opts=on())')
    result = bench.up("")
    assert result.exit_code == 1
    assert "a is protected" in bench.said()
    assert set(bench.things()) == {"a", "b"}
    assert bench.deployment().destroy().exit_code == 1
    assert set(bench.things()) == {"a", "b"}


def test_a_retained_resource_leaves_the_state_and_stays_in_the_cloud(bench):
    bench.up('Thing("a", opts=on(retain_on_delete=True))')
    assert bench.up("").exit_code == 0
    assert set(bench.things()) == {"a"}
    assert bench.deployment().destroy().exit_code == 0
    assert bench.store().load().resources == []


def test_ignored_changes_stay_as_they_were(bench):
    bench.up('Thing("a", size=1, opts=on())')
    result = bench.up('Thing("a", size=9, opts=on(ignore_changes=["size"]))')
    assert result.changes == {"same": 3}
    assert bench.things()["a"]["inputs"]["size"] == 1


def test_an_alias_renames_instead_of_replacing(bench):
    bench.up('Thing("old", name="x", opts=on())')
    body = 'Thing("new", name="x", opts=on(aliases=[pulumi.Alias(name="old")]))'
    assert bench.up(body).changes == {"same": 3}
    assert bench.up(body).changes == {"same": 3}


def test_a_failure_keeps_what_was_made_and_skips_what_depends_on_it(bench):
    bench.cloud.fail["create:b"] = "quota exceeded"
    body = TWO + 'c = Thing("c", tags={"b": b.serial}, opts=on())'
    result = bench.up(body)
    assert (result.exit_code, result.errors) == (1, ["quota exceeded"])
    assert set(bench.things()) == {"a"}
    bench.cloud.fail.clear()
    assert bench.up(body).changes == {"same": 3, "create": 2}


def test_what_a_failed_create_has_made_all_the_same_is_kept(bench):
    bench.cloud.fail["late:a"] = "x"
    assert bench.up('Thing("a", opts=on())').exit_code == 1
    bench.cloud.fail.clear()
    assert bench.up('Thing("a", opts=on())').changes == {"same": 3}
    assert len(bench.cloud.objects()) == 1


def test_unknown_types_inputs_functions_and_bad_values_are_refused_by_name(bench):
    for body, word in [
        ('Thing("a", token="test:index:Other", opts=on())', "resource type test:index:Other is not supported"),
        ('Thing("a", sice=1, opts=on())', "sice: is not supported by the local engine for test:index:Thing"),
        ('Thing("a", size=-1, opts=on())', "size: must not be negative"),
        ('Thing("a" * 30, opts=on())', "is too long"),
        ('Thing("a")', "no explicit provider"),
        ('Thing("a", opts=on(import_="x"))', "import: not supported"),
        ('pulumi.runtime.invoke("test:index:find", {})', "function test:index:find is not supported"),
    ]:
        result = bench.up(body)
        assert result.exit_code == 1, body
        assert word in bench.said(), body
    assert bench.cloud.objects() == {}


def test_depending_on_a_component_waits_for_its_children(bench):
    body = """
    class Pair(pulumi.ComponentResource):
        def __init__(self, name):
            super().__init__("test:index:Pair", name, None, ResourceOptions(providers=[cloud]))
            self.first = Thing(f"{name}1", opts=ResourceOptions(parent=self, provider=cloud))
            self.second = Thing(f"{name}2", opts=ResourceOptions(parent=self, provider=cloud))
            self.register_outputs({"serial": self.first.serial})
    pair = Pair("p")
    Thing("last", opts=on(depends_on=[pair]))
    """
    assert bench.up(body).exit_code == 0
    assert bench.cloud.calls[-1] == "create last"
    assert bench.up(body).changes == {"same": 6}
    component = next(s for s in bench.store().load().resources if s.type == "test:index:Pair")
    assert component.outputs["serial"].startswith("serial-")


def test_drift_is_seen_and_put_right_and_what_is_gone_is_made_again(bench):
    bench.up(TWO)
    objects = bench.cloud.objects()
    for found in objects.values():
        found["inputs"]["size"] = 99
    bench.cloud.write(objects)
    assert bench.up(TWO).changes == {"same": 2, "refresh": 2, "update": 2}
    assert {t["inputs"]["size"] for t in bench.things().values()} == {1, 2}
    bench.cloud.write({})
    assert bench.up(TWO).changes["create"] == 2
    assert set(bench.things()) == {"a", "b"}


def test_refresh_alone_changes_the_state_and_not_the_cloud(bench):
    bench.up(TWO)
    bench.cloud.write({})
    bench.cloud.calls.clear()
    assert bench.deployment().refresh().exit_code == 0
    assert bench.cloud.calls == []
    assert {s.name for s in bench.store().load().resources} == {"proj-dev", "cloud"}


def test_destroy_deletes_everything_and_forgets_it(bench):
    bench.up(TWO)
    result = bench.deployment().destroy()
    assert (result.exit_code, bench.cloud.objects(), bench.store().load().resources) == (0, {}, [])


def test_secrets_are_wrapped_in_the_state_and_masked_in_events(bench):
    body = 'a = Thing("a", secret=pulumi.Output.secret("hunter2"), opts=on())\npulumi.export("s", a.serial)'
    assert bench.up(body).exit_code == 0
    assert bench.things()["a"]["inputs"]["secret"] == "hunter2"
    assert "hunter2" not in repr(bench.events)
    assert "hunter2" not in "".join(p.read_text() for p in (bench.folder / "home").rglob("*") if p.is_file())
    assert bench.up(body).changes == {"same": 3}


def test_two_resources_of_one_name_are_refused(bench):
    assert bench.up('Thing("a", opts=on())\nThing("a", opts=on())').exit_code == 1
    assert "two resources are called a" in bench.said()


def test_an_output_under_another_name_that_holds_a_secret_input_is_secret_too():
    hidden, tags = Secret("hunter2-hunter2"), {"token": "hunter2-hunter2"}
    found = with_secrets({"tagsAll": tags, "arn": "arn:1", "size": 1, "tags": Secret(tags)}, {"tags": {"token": hidden}}, [])
    assert found == {"tagsAll": Secret(tags), "arn": "arn:1", "size": 1, "tags": Secret(tags)}
