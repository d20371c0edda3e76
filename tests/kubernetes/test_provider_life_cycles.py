"""The whole life of one object of every kind that the kit uses, on a real API server: made, read back without drift, changed in
place, changed by others, put right, taken away."""

import time
import uuid
from dataclasses import dataclass
from typing import Any

import pytest
from provider_cases import CASES, Case

from turnout.engine.plan import Goal, Kind, decide
from turnout.engine.provider import Created, Properties, ProviderConfig, ProviderError
from turnout.engine.state import ResourceState
from turnout.providers.kubernetes import type_of
from turnout.providers.kubernetes.cluster import cluster as api_of
from turnout.providers.kubernetes.objects import MANAGER
from turnout.providers.kubernetes.types import KubernetesType

MERGE = "application/merge-patch+json"
BY_KIND = {case.kind: case for case in CASES}


@dataclass
class World:
    """Objects of one test by the provider, and by other hands."""

    config: ProviderConfig
    namespace: str

    def kind(self, case: Case) -> KubernetesType:
        found = type_of(case.token)
        assert found is not None
        return found

    def make(self, case: Case, inputs: Properties) -> Created:
        assert self.kind(case).check(inputs) == []
        return self.kind(case).create(self.config, inputs, uuid.uuid4().hex)

    def path(self, case: Case, id: str) -> str:
        namespace, _, name = id.rpartition("/")
        return api_of(self.config).path_of(self.kind(case).kind, namespace or None, name)

    def live(self, case: Case, id: str) -> dict[str, Any]:
        return api_of(self.config).get(self.path(case, id), "the test")

    def meddle(self, case: Case, id: str, patch: dict[str, Any], manager: str = "somebody") -> None:
        """Another manager changes the object."""
        api_of(self.config).call(
            "PATCH", self.path(case, id), "the test", query={"fieldManager": manager}, body=patch, kind=MERGE
        )


@pytest.fixture
def world(cluster, namespace):
    return World(ProviderConfig({"kubeconfig": str(cluster.kubeconfig), "namespace": namespace}), namespace)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.kind)
def test_an_object_of_every_kind_lives_as_its_program_says(world, case):
    kind, first = world.kind(case), case.inputs(world.namespace, case.fields)
    made = world.make(case, first)
    seen = kind.read(world.config, made.id, first, made.outputs)
    assert seen is not None
    assert (seen.inputs, seen.init_errors) == (first, ()), "what defaulting and controllers fill in is no drift"
    assert seen.outputs[MANAGER] == made.outputs[MANAGER]

    second = case.inputs(world.namespace, case.change)
    outputs = kind.update(world.config, made.id, first, second, seen.outputs)
    after = kind.read(world.config, made.id, second, outputs)
    assert after is not None
    assert after.inputs == second
    assert after.outputs["metadata"]["uid"] == made.outputs["metadata"]["uid"], "the same object"

    world.meddle(case, made.id, case.meddle)
    drifted = kind.read(world.config, made.id, second, outputs)
    assert drifted is not None
    assert [name for name in second if drifted.inputs.get(name) != second[name]] == ([case.meddled] if case.meddled else [])

    forced = {
        **second,
        "metadata": {**second["metadata"], "annotations": {**case.annotations, "pulumi.com/patchForce": "true"}},
    }
    righted = kind.update(world.config, made.id, drifted.inputs, forced, drifted.outputs)
    last = kind.read(world.config, made.id, forced, righted)
    assert last is not None
    assert last.inputs == forced

    kind.delete(world.config, made.id, forced, righted, 120)
    assert kind.read(world.config, made.id, forced, righted) is None
    kind.delete(world.config, made.id, forced, righted, 120)


@pytest.mark.parametrize("case", [case for case in CASES if case.replace], ids=lambda case: case.kind)
def test_what_the_api_server_would_refuse_to_change_is_replaced(world, case):
    kind = world.kind(case)
    first, other = case.inputs(world.namespace, case.fields), case.inputs(world.namespace, case.replace)
    old = ResourceState("urn", case.token, True, inputs=first)
    assert decide(old, Goal("urn", case.token, "thing", True, other), kind, name_stays=True).kind is Kind.REPLACE
    made = world.make(case, first)
    kind.delete(world.config, made.id, first, made.outputs, 60)
    again = world.make(case, other)
    assert again.id == made.id
    assert again.outputs["metadata"]["uid"] != made.outputs["metadata"]["uid"]


@pytest.mark.parametrize("name", ["Deployment", "StatefulSet", "RoleBinding"])
def test_the_api_server_itself_refuses_these_changes(world, name):
    case = BY_KIND[name]
    assert case.replace is not None
    first = case.inputs(world.namespace, case.fields)
    made = world.make(case, first)
    with pytest.raises(ProviderError, match=r"(?s)(immutable|Forbidden|cannot change)"):
        world.kind(case).update(world.config, made.id, first, case.inputs(world.namespace, case.replace), made.outputs)


def test_another_managers_fields_are_a_conflict_until_they_are_taken(world):
    case = BY_KIND["HTTPRoute"]
    first = case.inputs(world.namespace, case.fields)
    made = world.make(case, first)
    world.meddle(case, made.id, case.meddle, "turnout")
    second = case.inputs(world.namespace, case.change)
    with pytest.raises(ProviderError) as caught:
        world.kind(case).update(world.config, made.id, first, second, made.outputs)
    said = str(caught.value)
    assert 'conflict with "turnout" using gateway.networking.k8s.io/v1' in said
    assert ".spec.rules" in said
    assert "pulumi.com/patchForce" in said
    assert len(said.splitlines()) < 10
    second["metadata"]["annotations"] = {"pulumi.com/patchForce": "true"}
    outputs = world.kind(case).update(world.config, made.id, first, second, made.outputs)
    assert [each["weight"] for each in outputs["spec"]["rules"][0]["backendRefs"]] == [0, 100]


def test_a_field_that_the_program_drops_is_dropped_and_one_of_others_is_not(world):
    case = BY_KIND["ServiceAccount"]
    first = case.inputs(world.namespace, {})
    first["metadata"]["labels"] = {"ours": "1", "kept": "1"}
    made = world.make(case, first)
    world.meddle(case, made.id, {"metadata": {"labels": {"theirs": "1"}}})
    second = case.inputs(world.namespace, {})
    second["metadata"]["labels"] = {"kept": "1"}
    outputs = world.kind(case).update(world.config, made.id, first, second, made.outputs)
    assert outputs["metadata"]["labels"] == {"kept": "1", "theirs": "1"}


@pytest.mark.parametrize(
    ("name", "wrong", "said"),
    [
        ("Deployment", {"spec": {"replicsa": 1}}, r'unknown field "spec.replicsa"'),
        (
            "HTTPRoute",
            {"spec": {"rules": [{"backendRefs": [{"name": "a", "wieght": 1}]}]}},
            r'unknown field "spec.rules\[0\].*wieght',
        ),
        ("Service", {"spec": {"ports": [{"port": 99999}]}}, r"spec.ports\[0\].port.*must be between 1 and 65535"),
        ("ScaledObject", {"spec": {"triggers": []}}, r"spec.scaleTargetRef.*Required value"),
        ("NodePool", {"spec": {"template": {"spec": {}}}}, r"nodeClassRef.*Required value"),
    ],
)
def test_a_wrong_field_is_refused_with_the_servers_words(world, name, wrong, said):
    case = BY_KIND[name]
    with pytest.raises(ProviderError, match=said) as caught:
        world.make(case, case.inputs(world.namespace, wrong))
    assert len(str(caught.value).splitlines()) < 12


def test_an_object_of_somebody_else_is_left_alone(world):
    case = BY_KIND["ConfigMap"]
    inputs = case.inputs(world.namespace, case.fields)
    made = world.make(case, inputs)
    token = uuid.uuid4().hex
    with pytest.raises(ProviderError, match="is there already and not of this stack"):
        world.kind(case).create(world.config, case.inputs(world.namespace, {"data": {"a": "2"}}), token)
    assert world.kind(case).find(world.config, inputs, token) is None
    assert world.live(case, made.id)["data"] == {"a": "1"}
    taking = ProviderConfig({**world.config.inputs, "upsertExistingObjects": True, "enablePatchForce": True})
    taken = world.kind(case).create(taking, case.inputs(world.namespace, {"data": {"a": "2"}}), token)
    assert taken.outputs["data"] == {"a": "2"}
    assert world.kind(case).find(world.config, inputs, token) is not None


def test_a_workload_that_cannot_run_is_told_with_the_reason_and_kept(world):
    case = BY_KIND["Deployment"]
    fields = case.inputs(world.namespace, case.fields)
    fields["spec"]["template"]["spec"]["nodeSelector"] = {"no-such": "node"}
    token = uuid.uuid4().hex
    config = ProviderConfig(world.config.inputs, {"create": 3.0})
    with pytest.raises(ProviderError) as caught:
        world.kind(case).create(config, fields, token)
    said = str(caught.value)
    assert f"Deployment {world.namespace}/thing is there and not ready after 3 s:" in said
    assert "is not scheduled" in said
    found = world.kind(case).find(config, fields, token)
    assert found is not None
    assert any("not scheduled" in line for line in found.init_errors)


def test_a_finalizer_that_nobody_takes_away_is_named_with_who_set_it(world):
    case = BY_KIND["ConfigMap"]
    inputs = case.inputs(world.namespace, case.fields)
    made = world.make(case, inputs)
    world.meddle(case, made.id, {"metadata": {"finalizers": ["example.com/hold"]}}, "holder")
    slow = ProviderConfig(world.config.inputs, {"delete": 1.0})
    with pytest.raises(ProviderError, match=r"(?s)is not gone after 1 s:.*finalizer example.com/hold: set by holder"):
        world.kind(case).delete(slow, made.id, inputs, made.outputs, 60)
    world.meddle(case, made.id, {"metadata": {"finalizers": None}}, "holder")
    world.kind(case).delete(slow, made.id, inputs, made.outputs, 60)


@pytest.mark.slow
def test_a_namespace_that_does_not_end_says_what_is_left_in_it(world):
    case, inner = BY_KIND["Namespace"], BY_KIND["ConfigMap"]
    inputs = case.inputs(world.namespace, {}, "full")
    made = world.make(case, inputs)
    held = inner.inputs(made.id, {})
    held["metadata"]["finalizers"] = ["example.com/hold"]
    kept = world.make(inner, held)
    slow, said = ProviderConfig(world.config.inputs, {"delete": 1.0}), ""
    end = time.monotonic() + 180
    while "example.com/hold in 1 resource instances" not in said:
        assert time.monotonic() < end, said
        with pytest.raises(ProviderError) as caught:
            world.kind(case).delete(slow, made.id, inputs, made.outputs, 60)
        said = str(caught.value)
    assert "finalizer kubernetes: the namespace controller, until it is empty" in said
    world.meddle(inner, kept.id, {"metadata": {"finalizers": None}})
    world.kind(case).delete(world.config, made.id, inputs, made.outputs, 60)


def test_a_definition_is_waited_for_and_its_objects_may_follow_at_once(world):
    tag = world.namespace.replace("-", "")
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    group, plural = f"{tag}.example.com", "widgets"
    names = {"plural": plural, "singular": "widget", "kind": "Widget"}
    definition = Case("kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition", {}, {}, {})
    inputs = definition.inputs(
        world.namespace, {"spec": {"group": group, "names": names, "scope": "Namespaced", "versions": [version]}}
    )
    inputs["metadata"]["name"] = f"{plural}.{group}"
    made = world.make(definition, inputs)
    try:
        widget = Case(f"kubernetes:{group}/v1:Widget", {}, {}, {})
        thing = world.make(widget, widget.inputs(world.namespace, {"spec": {"any": ["thing"]}}))
        assert thing.outputs["spec"] == {"any": ["thing"]}
        names["shortNames"] = ["wd"]
        inputs["spec"]["names"] = names
        world.kind(definition).update(world.config, made.id, inputs, inputs, made.outputs)
    finally:
        world.kind(definition).delete(world.config, made.id, inputs, made.outputs, 60)
    assert world.kind(widget).read(world.config, thing.id, thing.outputs, thing.outputs) is None
