"""A preview of Pulumi's own, as its event log has it, read by Pulumi's parsers: no engine ran here.

Written after the format: `EngineEvent` (pulumi/pulumi, sdk/go/common/apitype/events.go) and what `previewActions` emits
(pkg/engine/update.go). Secrets and unknown values are as `convertStepEventStateMetadata` writes them
(pkg/backend/display/events.go).
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pulumi.automation import events

from turnout import deploy, stacks
from turnout.deploy import PULUMI, Outcome
from turnout.preview import markdown, steps, text
from turnout.preview.changes import changes
from turnout.preview.names import Names
from turnout.preview.plan import Plan
from turnout.progress import Step

ACCOUNT = "123456789012"
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
HIDDEN = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "ciphertext": "[secret]"}
LISTENER, TARGETS = "aws:lb/listener:Listener", "aws:lb/targetGroup:TargetGroup"
GROUP, POLICY, VERSION = (
    "aws:autoscaling/group:Group",
    "aws:iam/policy:Policy",
    "aws:secretsmanager/secretVersion:SecretVersion",
)
STACK, POOL = "pulumi:pulumi:Stack", "turnout:index:GpuNodePool"
State = dict[str, Any]


def urn(kind: str, name: str) -> str:
    return f"urn:pulumi:prod::turnout::{kind}::{name}"


def arn(name: str) -> str:
    return f"arn:aws:elasticloadbalancing:eu-west-1:{ACCOUNT}:targetgroup/{name}/50dc6c495c0c9188"


def state(kind: str, name: str, inputs: State, outputs: State | None = None, id_: str = "", parent: str = "") -> State:
    both = {"inputs": {"__defaults": [], **inputs}, "outputs": {"__meta": "{}", **inputs, **(outputs or {})}}
    return {"type": kind, "urn": urn(kind, name), "custom": True, "id": id_, "parent": parent, "provider": "", **both}


def event(what: str, op: str, old: State | None, new: State | None, **more: Any) -> dict[str, Any]:
    about = new or old or {}
    step = {"op": op, "urn": about["urn"], "type": about["type"], "old": old, "new": new, "detailedDiff": None, "provider": ""}
    return {what: {"metadata": {**step, **more}, "planning": True}}


def step(op: str, old: State | None, new: State | None, *, ends: str = "", **more: Any) -> list[dict[str, Any]]:
    return [event("resourcePreEvent", op, old, new, **more), event("resOutputsEvent", ends or op, old, new, **more)]


def replaced(old: State, new: State, **more: Any) -> list[dict[str, Any]]:
    """The three steps of one replacement."""
    made = step("create-replacement", old, new, **more) + step("replace", old, new, **more)
    return [*made, *step("delete-replaced", old, None)]


def differ(*paths: str, kind: str = "update", inputs: bool = True) -> dict[str, Any]:
    return {path: {"diffKind": kind, "inputDiff": inputs} for path in paths}


def listener(blue: str, weights: tuple[int, int]) -> State:
    groups = [{"arn": blue, "weight": weights[0]}, {"arn": arn("green"), "weight": weights[1]}]
    return state(
        LISTENER, "svc-live", {"defaultActions": [{"type": "forward", "forward": {"targetGroups": groups}}], "port": 443}
    )


def target_group(name: str, port: int, known: bool = True) -> State:
    outputs = {"arn": arn(name) if known else UNKNOWN}
    return state(TARGETS, f"svc-{name}", {"port": port, "name": name}, outputs, arn(name) if known else "")


def pool(size: int, targets: str, image: str = "ami-1") -> State:
    inputs = {"minSize": 1, "maxSize": size, "targetGroupArns": [targets], "imageId": image}
    return state(GROUP, "svc-blue-group", inputs, {"arn": "x"}, "svc-blue-group-1a2b", urn(POOL, "svc-blue-pool"))


def policy(action: str, tags: State, all_tags: State) -> State:
    document = json.dumps({"Statement": [{"Action": action, "Resource": [arn("blue"), "*"]}]})
    return state(POLICY, "svc-policy", {"policy": document, "tags": tags}, {"tagsAll": all_tags})


def log() -> Iterator[dict[str, Any]]:
    """All events of the preview."""
    yield {"preludeEvent": {"config": {"turnout:service": "svc", "turnout:token": "[secret]"}}}
    recorded, found = listener(arn("blue"), (100, 0)), listener(arn("blue"), (90, 10))
    gone = state("aws:sns/topic:Topic", "svc-alarms", {"name": "alarms"}, id_="alarms")
    unused = state("aws:sns/topic:Topic", "svc-old", {"name": "old"}, id_="old-topic")
    blue, green = target_group("blue", 8000), target_group("green", 8000)
    yield from step("refresh", recorded, found, diffs=["defaultActions"])
    yield from step("refresh", gone, None)
    yield from step("refresh", unused, unused, ends="same")
    yield from step("refresh", green, green)
    outputs = {"weights": {"blue": 100, "green": 0}, "token": HIDDEN}
    old, new = (state(STACK, "turnout-prod", {}, {**outputs, **more}) for more in ({}, {"weights": {"blue": 0, "green": 100}}))
    yield from step("same", old, old)
    component = state(POOL, "svc-blue-pool", {})
    yield from step("same", component, component)
    yield from step("same", green, green)
    changed = target_group("blue", 8001, known=False)
    yield from replaced(blue, changed, keys=["port"], diffs=["port"], detailedDiff=differ("port", kind="update-replace"))
    grown = differ("maxSize", "targetGroupArns[0]")
    yield from step("update", pool(2, arn("blue")), pool(4, UNKNOWN), diffs=["maxSize", "targetGroupArns"], detailedDiff=grown)
    held = [state(VERSION, "svc-token", {"secretString": HIDDEN}) for _ in range(2)]
    yield from step("update", *held, diffs=["secretString"], detailedDiff=differ("secretString"))
    old_policy, new_policy = policy("s3:Get*", {"a": "1"}, {"a": "1"}), policy("s3:*", {"a": "2"}, {"a": "2"})
    yield from step("update", old_policy, new_policy, diffs=["policy", "tags", "tagsAll"], detailedDiff=None)
    yield from step("update", found, listener(UNKNOWN, (0, 100)), diffs=["defaultActions", "__defaults"])
    yield from step("create", None, gone)
    yield event("resOutputsEvent", "same", component, component)
    yield event("resOutputsEvent", "same", old, new)
    yield from step("delete", unused, None)
    changes = {"same": 3, "replace": 1, "update": 4, "create": 1, "delete": 1}
    yield {"summaryEvent": {"maybeCorrupt": False, "durationSeconds": 0, "resourceChanges": changes, "PolicyPacks": {}}}
    yield {"cancelEvent": {}}


class Recorded:
    """Stands for the Automation API's stack: plays a log."""

    def preview(self, on_event: Callable[[Any], None], **_: Any) -> "Recorded":
        for number, each in enumerate(log()):
            on_event(events.EngineEvent.from_json(json.loads(json.dumps({"sequence": number, "timestamp": 1, **each}))))
        return self


class Deaf:
    """Hears nothing but what must not be said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def header(self, operation: str, stack: str, engine: str) -> None:
        pass

    def step(self, step: Step) -> None:
        pass

    def message(self, severity: str, text: str) -> None:
        self.said.append(f"{severity}: {text}")


CONFIG = """config:
  turnout:service: svc
  turnout:cloud: aws
  turnout:region: eu-west-1
  turnout:releases: releases
  turnout:environments: {blue: {release: null}, green: {release: null}}
  turnout:traffic: {active: green}
"""


@pytest.fixture
def outcome(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Outcome:
    (tmp_path / "Pulumi.yaml").write_text("name: turnout\nruntime: python\n")
    (tmp_path / "Pulumi.prod.yaml").write_text(CONFIG)
    monkeypatch.setattr(deploy, "_select", lambda *_: Recorded())
    progress = Deaf()
    ended = deploy.run(stacks.load(tmp_path, "prod"), "preview", tmp_path, progress, PULUMI)
    assert progress.said == []
    return ended


@pytest.fixture
def plan(outcome: Outcome) -> Plan:
    return steps.plan("prod", {"environments": {"blue": {}, "green": {}}}, outcome.steps, outcome.engine)


def test_steps_are_told_once_the_worst_first(plan: Plan) -> None:
    told = [(each.operation.value, each.name) for each in plan.changes]
    assert told[:2] == [("replace", "svc-blue"), ("delete", "svc-old")]
    assert told[2:] == [
        ("update", "svc-blue-group"),
        ("update", "svc-policy"),
        ("update", "svc-live"),
        ("update", "svc-token"),
        ("create", "svc-alarms"),
    ]
    assert plan.counted == "1 to replace, 1 to delete, 4 to update, 1 to create, 2 unchanged, 2 drifted"


def test_the_switch_goes_from_what_the_listener_has_to_what_the_program_exports(plan: Plan) -> None:
    """The stack's outputs still say what the last update made; a rollout has moved the weights since."""
    assert plan.traffic == "traffic: blue 90, green 10 → green 100; standby blue kept full for 24 h"
    assert plan.document()["weights"] == {"before": {"blue": 90, "green": 10}, "after": {"blue": 0, "green": 100}}


def test_a_pool_is_found_behind_its_target_group_by_its_arn(plan: Plan) -> None:
    assert [(each.resource, each.said) for each in plan.interruptions] == [
        ("svc-blue", "a target group that carries requests would be replaced, because of port")
    ]
    assert [(each.name, each.after.maximum) for each in plan.pools] == [("svc-blue-pool", 4)]


def test_properties_have_names_for_arns_and_words_for_what_is_unknown(plan: Plan) -> None:
    lines = [line.strip() for line in text.lines(plan)]
    assert "port: 8000 → 8001   (forces replacement)" in lines
    assert "targetGroupArns[0]: ${svc-blue.arn} → (known after the update)" in lines
    assert "policy.Statement[0].Action: s3:Get* → s3:*" in lines
    assert "tags.a: 1 → 2" in lines
    assert "secretString: [secret] → [secret]" in lines
    assert not [line for line in lines if "tagsAll" in line or "__" in line]


def test_drift_is_what_the_refresh_found_and_nothing_else(plan: Plan) -> None:
    assert [(each.operation.value, each.name) for each in plan.drift] == [("delete", "svc-alarms"), ("update", "svc-live")]
    first = plan.drift[1].properties[0]
    assert (first.path, first.before, first.after) == ("defaultActions[0].forward.targetGroups[0].weight", 100, 90)


def test_neither_account_nor_cipher_nor_sentinel_is_in_any_text(plan: Plan) -> None:
    comment = markdown.comment([plan], None, "")
    assert comment.startswith(f"{markdown.MARK_OF_ACCOUNT}\n### What an update would do, by Pulumi\n")
    for shown in (comment, "\n".join(text.lines(plan)), json.dumps(plan.document())):
        for hidden in (ACCOUNT, UNKNOWN, "ciphertext", HIDDEN["4dabf18193072939515e22adb298388d"]):
            assert hidden not in shown


def test_what_only_the_provider_knows_is_told_from_its_state() -> None:
    """A difference between state and inputs (`inputDiff` false): no input names it, or inputs are alike."""
    old = state(GROUP, "g", {"maxSize": 2}, {"maxSize": 3, "desiredCapacity": 5})
    new = state(GROUP, "g", {"maxSize": 2}, {"desiredCapacity": 1})
    (made,) = step("update", old, new, detailedDiff=differ("maxSize", "desiredCapacity", inputs=False))[1:]
    (change,) = changes([made["resOutputsEvent"]["metadata"]])
    assert [(each.path, each.before, each.after) for each in change.properties] == [
        ("maxSize", 3, 2),
        ("desiredCapacity", 5, 1),
    ]


def test_the_detailed_difference_says_which_leaf_forces() -> None:
    old, new = ({"block": {"a": n, "b": n}, "set": [{"c": n}]} for n in (1, 2))
    detailed = {**differ("block.a", "set[7].c", kind="update-replace"), **differ("block.b")}
    about = {"keys": ["block", "set"], "diffs": ["block", "set"], "detailedDiff": detailed}
    made = step("replace", state(GROUP, "g", old), state(GROUP, "g", new), **about)[1]
    (change,) = changes([made["resOutputsEvent"]["metadata"]])
    assert {each.path: each.forces for each in change.properties} == {"block.a": True, "block.b": False, "set[0].c": True}
    assert change.forced_by == ("block", "set")


def test_what_an_earlier_replacement_left_behind_is_no_deletion_of_what_stays() -> None:
    kept, left = (state(TARGETS, "svc-blue", {"port": port}) for port in (8001, 8000))
    told = [*step("same", kept, kept), *step("delete", {**left, "delete": True}, None)]
    found = [each["resOutputsEvent"]["metadata"] for each in told if "resOutputsEvent" in each]
    assert steps.plan("prod", {}, found).changes == ()


def test_names_stand_for_what_the_cloud_gave_and_not_for_what_the_program_chose() -> None:
    bucket = state("aws:s3/bucket:Bucket", "models", {"bucket": "our-models"}, {"arn": "arn:aws:s3:::our-models"}, "our-models")
    network = state("aws:ec2/vpc:Vpc", "net", {}, {"arn": f"arn:aws:ec2:eu-west-1:{ACCOUNT}:vpc/vpc-0a1b2c3d"}, "vpc-0a1b2c3d")
    named = Names([{"old": bucket, "new": None}, {"old": None, "new": network}])
    assert named("arn:aws:s3:::our-models/*, in our-models") == "${models.arn}/*, in our-models"
    assert named("vpc-0a1b2c3d and vpc-0a1b2c3d4") == "${net.id} and vpc-0a1b2c3d4"


def test_the_owner_of_an_arn_names_it_in_whatever_order_steps_come() -> None:
    address = f"arn:aws:secretsmanager:eu-west-1:{ACCOUNT}:secret:token-AbCdEf"
    owner = state("aws:secretsmanager/secret:Secret", "token", {}, {"arn": address}, address)
    version = state(VERSION, "a-value", {}, {"arn": address}, f"{address}|1")
    told = [{"old": owner, "new": None}, {"old": version, "new": None}]
    assert {Names(each)(address) for each in (told, told[::-1])} == {"${token.arn}"}
