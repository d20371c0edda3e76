"""Policy packs in previews and ups: the real policy SDK in its own process, the real program in another."""

import json
from contextlib import suppress

import psutil
import pytest
from packs import BODY, found, pack
from pulumi.automation.events import EngineEvent

from turnout.engine.policy_packs import PackError, PolicyPack

TWO = """
a = Thing("a", size=1, opts=on())
Thing("b", size=20, color="red", tags={"of": a.serial}, opts=on())
pulumi.export("serial", a.serial)
"""
GOOD = TWO.replace("20", "2")


@pytest.fixture
def tiny(tmp_path):
    return pack(tmp_path / "tiny")


def children():
    """Processes of packs and programs; other tests' own may stand beside."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            found.append(" ".join(process.cmdline()))
    return [command for command in found if "launch_pack" in command or "turnout.engine.launch" in command]


def test_a_preview_runs_every_rule_on_every_resource_and_fails_at_its_end(bench, tiny):
    result = bench.preview(TWO.replace("size=1", "size=30"), policy_packs=[tiny])
    assert found(bench.events) == [("advisory", "color", "a"), ("mandatory", "size", "a"), ("mandatory", "size", "b")]
    assert result.changes == {"create": 4}
    assert result.exit_code == 1
    assert sorted(result.errors) == [
        "policy size (tiny 1.2.0) refuses a: a has size 30, more than 10",
        "policy size (tiny 1.2.0) refuses b: b has size 20, more than 10",
    ]
    assert "preview failed: 2 mandatory" in bench.said()


def test_a_refused_resource_is_not_begun_and_the_update_fails(bench, tiny):
    result = bench.up(TWO, policy_packs=[tiny])
    assert result.exit_code == 1
    assert result.errors[0] == "policy size (tiny 1.2.0) refuses b: b has size 20, more than 10"
    assert set(bench.things()) == {"a"}
    assert bench.cloud.calls == ["create a"]
    begun = [event["resourcePreEvent"]["metadata"]["urn"] for event in bench.events if "resourcePreEvent" in event]
    assert not any(urn.endswith("::b") for urn in begun)
    assert bench.up(GOOD, policy_packs=[tiny]).exit_code == 0


def test_an_update_that_is_refused_leaves_the_resource_as_it_was(bench, tiny):
    assert bench.up(GOOD, policy_packs=[tiny]).exit_code == 0
    result = bench.up(TWO, policy_packs=[tiny])
    assert (result.exit_code, result.changes.get("update")) == (1, None)
    assert bench.things()["b"]["inputs"]["size"] == 2
    assert bench.store().load().resources[-1].inputs["size"] == 2


def test_what_is_advised_does_not_fail_and_is_told_as_pulumi_tells_it(bench, tiny):
    result = bench.up(GOOD, policy_packs=[tiny])
    assert (result.exit_code, result.errors) == (0, [])
    events = [EngineEvent.from_json(event) for event in bench.events]
    policy = next(event.policy_event for event in events if event.policy_event)
    assert (policy.policy_name, policy.policy_pack_name, policy.policy_pack_version) == ("color", "tiny", "1.2.0")
    assert (policy.enforcement_level, policy.message) == ("advisory", "Things have a color.\ngive it a color\n")
    assert policy.resource_urn.endswith("test:index:Thing::a")
    assert next(event.summary_event.policy_packs for event in events if event.summary_event) == {"tiny": "1.2.0"}
    severities = [event["policyEvent"]["severity"] for event in bench.events if "policyEvent" in event]
    assert severities == [""]


def test_a_resource_that_does_not_change_is_looked_at_too(bench, tiny):
    """As in Pulumi, whose analyzers come before the difference."""
    assert bench.up(TWO).exit_code == 0
    result = bench.up(TWO, policy_packs=[tiny])
    assert result.exit_code == 1
    assert ("mandatory", "size", "b") in found(bench.events)


MANY = 'for name in "abc":\n    Thing(name, size=1, color="red", opts=on())'


def test_the_stack_is_looked_at_when_all_is_made(bench, tiny):
    """A stack's policies cannot prevent: the update fails, what was made stays."""
    assert bench.preview(MANY, policy_packs=[tiny]).errors == ["policy few (tiny 1.2.0) refuses a: 3 things"]
    result = bench.up(MANY, policy_packs=[tiny])
    assert (result.exit_code, result.changes["create"]) == (1, 5)
    assert set(bench.things()) == {"a", "b", "c"}
    assert found(bench.events) == [("mandatory", "few", "a")]
    assert bench.up(MANY.replace("abc", "ab"), policy_packs=[tiny]).exit_code == 0  # after the delete two are left


def test_the_stack_is_seen_with_its_outputs_its_providers_and_what_hangs_on_what(bench, tmp_path):
    body = """
    def look(args, report):
        by = {each.name: each for each in args.resources}
        b = by["b"]
        needs = sorted(each.name for each in b.property_dependencies["tags"])
        report(f"{by['a'].props['serial'][:7]} {needs} {b.provider.name} {b.provider.props['region']} {b.parent.resource_type}")
        report("of the stack", "urn:of:nothing")

    PolicyPack("tiny", [StackValidationPolicy("look", "Look.", look)])
    """
    bench.up(TWO, policy_packs=[pack(tmp_path / "look", body)])
    told = [event["policyEvent"] for event in bench.events if "policyEvent" in event]
    assert told[0]["message"] == "Look.\nserial- ['a'] cloud here pulumi:pulumi:Stack\n"
    assert told[1]["resourceUrn"].endswith("pulumi:pulumi:Stack::proj-dev")


def test_in_a_preview_what_an_input_said_is_gone_when_it_is_left_out(bench, tmp_path):
    """As a pool's instance types that one type takes the place of: the old ones would hide what the new one costs."""
    body = """
    def marks(args, report):
        report(" ".join(str(each.props.get("tags")) for each in args.resources if each.resource_type == THING))
    PolicyPack("seen", [StackValidationPolicy("marks", "Marks.", marks)])
    """
    assert bench.up('Thing("a", size=1, tags={"of": "old"}, opts=on())').exit_code == 0
    bench.preview('Thing("a", size=2, opts=on())', policy_packs=[pack(tmp_path / "seen", body)])
    assert [each["policyEvent"]["message"].strip() for each in bench.events if "policyEvent" in each][-1] == "Marks.\nNone"


def test_a_pack_knows_stack_project_config_and_options(bench, tmp_path):
    body = """
    import pulumi

    def look(args, report):
        if args.name == "a":
            config = pulumi.Config().require("key")
            report(f"{pulumi.get_project()} {pulumi.get_stack()} {pulumi.runtime.is_dry_run()} {config} {args.opts.protect}")

    PolicyPack("tiny", [ResourceValidationPolicy("look", "Look.", look)])
    """
    program = GOOD.replace("size=1, opts=on()", "size=1, opts=on(protect=True)")
    bench.preview(program, policy_packs=[pack(tmp_path / "look", body)], config={"proj:key": "value"})
    assert next(e["policyEvent"]["message"] for e in bench.events if "policyEvent" in e) == "Look.\nproj dev True value True\n"


def test_what_is_not_known_yet_is_unknown_to_a_policy(bench, tmp_path):
    body = """
    def look(args, report):
        if args.name == "b" and args.props["tags"]["of"] == "x":
            report("never")

    PolicyPack("tiny", [ResourceValidationPolicy("look", "Look.", look, EnforcementLevel.MANDATORY)])
    """
    looking = pack(tmp_path / "look", body)
    assert bench.preview(GOOD, policy_packs=[looking]).exit_code == 0
    told = [event["policyEvent"] for event in bench.events if "policyEvent" in event]
    assert [each["enforcementLevel"] for each in told] == ["advisory"]
    assert "can't run policy 'look'" in told[0]["message"]
    assert bench.up(GOOD, policy_packs=[looking]).exit_code == 0
    assert found(bench.events) == []


def test_a_secret_reaches_a_policy_as_its_value_and_nobody_hears_of_it(bench, tmp_path):
    body = """
    def look(args, report):
        if args.name == "a":
            print(f"printed {args.props['secret']}")
            report(f"weak: {args.props['secret']} of {len(args.props['secret'])}, seed {args.props['seed']}")

    def whole(args, report):
        report("again " + next(each for each in args.resources if each.name == "a").props["secret"])

    PolicyPack("tiny", [
        ResourceValidationPolicy("look", "Look.", look, EnforcementLevel.MANDATORY), StackValidationPolicy("whole", "W", whole),
    ])
    """
    program = 'Thing("a", secret=Output.secret("hunter-two"), seed=Output.secret("sown-words"), opts=on())'
    result = bench.preview(program, policy_packs=[pack(tmp_path / "look", body)])
    assert result.errors == ["policy look (tiny 1.2.0) refuses a: weak: [secret] of 10, seed [secret]"]
    assert "printed [secret]" in bench.said("info")
    assert found(bench.events)[0] == ("advisory", "whole", "proj-dev")
    assert "hunter-two" not in json.dumps(bench.events)
    assert "sown-words" not in json.dumps(bench.events)


def test_levels_and_limits_are_configured_by_a_file(bench, tmp_path, tiny):
    config = tmp_path / "config.json"
    config.write_text(
        json.dumps({"all": "advisory", "size": {"enforcementLevel": "mandatory", "limit": 19}, "color": "disabled"})
    )
    packs = [PolicyPack(tiny.folder, config)]
    result = bench.up(MANY + "\n" + TWO.replace('"a"', '"d"').replace('"b"', '"e"'), policy_packs=packs)
    assert result.errors == ["policy size (tiny 1.2.0) refuses e: e has size 20, more than 19"]
    bench.up(MANY, policy_packs=packs)
    assert found(bench.events) == [("advisory", "few", "a")]


def test_two_packs_are_both_heard(bench, tmp_path, tiny):
    other = pack(tmp_path / "other", 'PolicyPack("other", [COLOR])', project="runtime: {name: python}\n")
    bench.preview(GOOD, policy_packs=[tiny, other])
    told = [event["policyEvent"] for event in bench.events if "policyEvent" in event]
    assert [(each["policyPackName"], each["policyPackVersion"]) for each in told] == [("tiny", "1.2.0"), ("other", "0.0.1")]


@pytest.mark.usefixtures("started_programs")
def test_nothing_of_a_pack_is_left_behind(bench, tiny):
    bench.preview(GOOD, policy_packs=[tiny])
    assert children() == []


BROKEN = {
    "a folder that is missing": (None, None, "there is no policy pack in .*: the folder does not exist"),
    "no project file": (BODY, "", "it has no PulumiPolicy.yaml"),
    "another language": (BODY, "runtime: nodejs\n", "runtime is 'nodejs'.*python only"),
    "a project file that is no YAML": (BODY, "runtime: [", "PulumiPolicy.yaml cannot be read"),
    "a syntax error": ("def", "runtime: python", r"does not start: SyntaxError: invalid syntax \(__main__.py, line \d+\)"),
    "an exception": (
        'raise ValueError("no good")',
        "runtime: python",
        r"does not start: ValueError: no good \(__main__.py, line",
    ),
    "a crash": ("import os; os._exit(7)", "runtime: python", "ended with exit code 7 and without a word"),
    "no pack": ("", "runtime: python", r"exit code 0.*makes a PolicyPack"),
    "garbage": ('print("hello")\n' + BODY, "runtime: python", "first line that it prints must be its port, not 'hello'"),
    "remediation": (
        BODY.replace("COLOR", "MEND"),
        "runtime: python",
        "mend: the level remediate is not run by the local engine",
    ),
}
MEND = """
MEND = ResourceValidationPolicy("mend", "M", remediate=lambda args: None, enforcement_level=EnforcementLevel.REMEDIATE)
"""


@pytest.mark.parametrize(("body", "project", "said"), BROKEN.values(), ids=BROKEN.keys())
@pytest.mark.usefixtures("started_programs")
def test_a_pack_that_cannot_be_used_stops_everything_before_it_begins(bench, tmp_path, body, project, said):
    folder = tmp_path / "broken"
    if body is not None:
        pack(folder, MEND + body, project=project)
        if project == "":
            (folder / "PulumiPolicy.yaml").unlink()
    with pytest.raises(PackError, match=said) as raised:
        bench.up(GOOD, policy_packs=[PolicyPack(folder)])
    assert str(raised.value).count("\n") <= 1
    assert "Traceback" not in str(raised.value)
    assert bench.cloud.calls == []
    assert bench.store().load().resources == []
    assert children() == []


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ("{", "is no JSON"),
        ("[]", "must be an object"),
        ('{"size": "sometimes"}', "size: the enforcement level 'sometimes' is none of advisory, mandatory"),
        ('{"size": 3}', "size must be a level"),
        ('{"colour": "disabled"}', "has no policy 'colour'.*it has size, color, few"),
        ('{"size": {"limit": 0}}', "size: limit is 0: it must be at least 1"),
        ('{"all": {"limit": 3}}', "all takes a level only, not limit"),
    ],
)
@pytest.mark.usefixtures("started_programs")
def test_a_configuration_that_does_not_fit_is_named(bench, tmp_path, tiny, config, said):
    file = tmp_path / "config.json"
    file.write_text(config)
    with pytest.raises(PackError, match=said):
        bench.preview(GOOD, policy_packs=[PolicyPack(tiny.folder, file)])
    assert children() == []


def test_a_policy_that_raises_fails_the_update_at_its_resource(bench, tmp_path):
    body = """
    def look(args, report):
        if args.name == "b":
            raise KeyError("nothing")

    PolicyPack("tiny", [ResourceValidationPolicy("look", "Look.", look)])
    """
    result = bench.up(GOOD, policy_packs=[pack(tmp_path / "look", body)])
    assert result.exit_code == 1
    assert result.errors == ["policy pack tiny failed at b: Exception calling application: 'nothing'"]
    assert bench.cloud.calls == ["create a"]


@pytest.mark.usefixtures("started_programs")
def test_a_pack_that_dies_in_the_middle_is_told(bench, tmp_path):
    body = """
    import os, sys

    def look(args, report):
        if args.name == "b":
            sys.stderr.write("out of luck\\n")
            os._exit(9)

    PolicyPack("tiny", [ResourceValidationPolicy("look", "Look.", look)])
    """
    result = bench.up(GOOD, policy_packs=[pack(tmp_path / "look", body)])
    assert result.errors == ["policy pack tiny failed at b: out of luck"]
    assert children() == []
