"""The provider against a scripted API server: create, no-op, update, conflicts, secrets."""

import base64
from collections.abc import Iterator
from typing import Any

import pytest

from tests.providers.kubernetes_samples import MAPS, OURS, PLACE, TOKEN, FakeTime, config, kind, prompts
from tests.providers.kubernetes_server import Call, Server, serving, status
from turnout.engine.provider import ProviderError
from turnout.engine.values import Secret
from turnout.providers.kubernetes.objects import MANAGER


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


@pytest.fixture
def time() -> FakeTime:
    return FakeTime()


def test_an_object_is_made_by_one_create_in_the_contexts_namespace_under_a_manager_of_its_own(server, time):
    made = kind(MAPS, time).create(config(server), prompts(), TOKEN)
    assert made.id == "shop/prompts"
    assert server.changes() == ["POST /api/v1/namespaces/shop/configmaps"]
    assert server.calls[-1].query == {"fieldManager": OURS, "fieldValidation": "Strict"}
    assert made.outputs[MANAGER] == OURS
    assert made.outputs["metadata"]["uid"]
    assert "managedFields" not in made.outputs["metadata"]


@pytest.mark.parametrize(
    ("options", "namespace", "lands"),
    [
        ({}, None, "shop"),
        ({"context": "elsewhere"}, None, "other"),
        ({"context": "elsewhere", "namespace": "default"}, None, "default"),
        ({"namespace": "default"}, "other", "other"),
    ],
)
def test_the_namespace_is_the_objects_else_the_providers_else_the_contexts(server, time, options, namespace, lands):
    its, rtype = config(server, **options), kind(MAPS, time)
    inputs = rtype.prepare(its, prompts(metadata={"name": "prompts", "namespace": namespace}))
    assert rtype.create(its, inputs, TOKEN).id == f"{lands}/prompts"


def test_what_has_no_namespace_gets_none_whatever_the_provider_says(server, time):
    its = config(server, namespace="other")
    for token in ("kubernetes:core/v1:Namespace", "kubernetes:storage.k8s.io/v1:StorageClass"):
        rtype = kind(token, time)
        inputs = {"apiVersion": rtype.kind.api_version, "kind": rtype.kind.name, "metadata": {"name": "wide"}}
        assert rtype.create(its, rtype.prepare(its, inputs), TOKEN).id == "wide"
    assert all("namespace" not in call.body["metadata"] for call in server.calls if call.method == "POST")


def test_an_object_that_is_there_and_not_ours_is_refused_unless_it_is_to_be_taken_over(server, time):
    server.put(PLACE, data={"a": "theirs"})
    with pytest.raises(ProviderError, match=r"ConfigMap shop/prompts is there already and not of this stack.*upsertExisting"):
        kind(MAPS, time).create(config(server), prompts(), TOKEN)
    assert server.objects[PLACE]["data"] == {"a": "theirs"}
    assert kind(MAPS, time).find(config(server), prompts(), TOKEN) is None
    kind(MAPS, time).create(config(server, upsertExistingObjects=True), prompts(), TOKEN)
    assert server.objects[PLACE]["data"] == {"a": "1"}


def test_an_interrupted_create_is_found_by_its_manager_and_by_no_other(server, time):
    rtype = kind(MAPS, time)
    assert rtype.find(config(server), prompts(), TOKEN) is None
    rtype.create(config(server), prompts(), TOKEN)
    found = rtype.find(config(server), prompts(), TOKEN)
    assert found is not None
    assert (found.id, found.init_errors) == ("shop/prompts", ())
    assert rtype.find(config(server), prompts(), "f" * 32) is None


def test_a_create_waits_for_its_namespace_and_says_which_one_is_missing(server, time):
    inputs = prompts(metadata={"name": "prompts", "namespace": "late"})
    time.at[3] = lambda: server.put("/api/v1/namespaces/late")
    assert kind(MAPS, time).create(config(server), inputs, TOKEN).id == "late/prompts"
    inputs = prompts(metadata={"name": "prompts", "namespace": "never"})
    with pytest.raises(ProviderError, match='creating ConfigMap never/prompts: namespaces "never" not found'):
        kind(MAPS, time).create(config(server), inputs, TOKEN)


def test_a_kind_that_is_not_served_is_named_and_is_gone_for_reads_and_deletes(server, time):
    token = "kubernetes:keda.sh/v1alpha1:ScaledObject"
    inputs = {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": {"name": "s"}}
    with pytest.raises(ProviderError, match=r"keda.sh/v1alpha1 ScaledObject: the API server does not know.*install"):
        kind(token, time).create(config(server), inputs, TOKEN)
    assert kind(token, time).read(config(server), "shop/s", inputs, {}) is None
    kind(token, time).delete(config(server), "shop/s", inputs, {}, 10)
    server.kinds["/apis/keda.sh/v1alpha1"] = {"ScaledObject": "scaledobjects"}
    assert kind(token, time).create(config(server), inputs, TOKEN).id == "shop/s"


def test_an_update_takes_its_create_over_once_and_applies(server, time):
    rtype = kind(MAPS, time)
    made = rtype.create(config(server), prompts(), TOKEN)
    for value in ("2", "3"):
        rtype.update(config(server), made.id, prompts(), prompts(data={"a": value}), made.outputs)
        assert server.objects[PLACE]["data"] == {"a": value}
    entries = server.objects[PLACE]["metadata"]["managedFields"]
    assert [(entry["manager"], entry["operation"]) for entry in entries] == [(OURS, "Apply")]
    assert [change.split()[0] for change in server.changes()] == ["POST", "PATCH", "PATCH", "PATCH"]
    assert server.calls[-1].query == {"fieldManager": OURS, "fieldValidation": "Strict", "force": "false"}


def theirs(server: Server, manager: str) -> None:
    """Somebody else owns and has changed the map's data."""
    live = server.objects[PLACE]
    live["data"] = {"a": "theirs"}
    live["metadata"]["managedFields"] = [
        {"manager": manager, "operation": "Apply", "apiVersion": "v1", "fieldsV1": {"f:data": {}}}
    ]


def test_a_conflict_names_the_other_manager_the_field_and_the_ways_out(server, time):
    rtype = kind(MAPS, time)
    made = rtype.create(config(server), prompts(), TOKEN)
    theirs(server, "turnout")
    with pytest.raises(ProviderError) as caught:
        rtype.update(config(server), made.id, prompts(), prompts(data={"a": "2"}), made.outputs)
    said = str(caught.value)
    assert f"ConfigMap shop/prompts: fields that {OURS} applies belong to another manager" in said
    assert '.data: conflict with "turnout" using v1' in said
    assert "pulumi.com/patchForce" in said
    assert len(said.splitlines()) <= 12
    assert server.objects[PLACE]["data"] == {"a": "theirs"}


@pytest.mark.parametrize("by", ["annotation", "provider"])
def test_a_conflict_is_won_where_the_object_or_the_provider_forces(server, time, by):
    rtype = kind(MAPS, time)
    made = rtype.create(config(server), prompts(), TOKEN)
    theirs(server, "turnout")
    marks = {"annotations": {"pulumi.com/patchForce": "true"}} if by == "annotation" else {}
    its = config(server, enablePatchForce=True) if by == "provider" else config(server)
    rtype.update(its, made.id, prompts(), prompts(data={"a": "2"}, metadata={"name": "prompts", **marks}), made.outputs)
    assert server.objects[PLACE]["data"] == {"a": "2"}


def test_what_a_person_did_by_kubectl_is_taken_over_without_a_word(server, time):
    rtype = kind(MAPS, time)
    made = rtype.create(config(server), prompts(), TOKEN)
    theirs(server, "kubectl-edit")
    server.objects[PLACE]["metadata"]["managedFields"][0]["operation"] = "Update"
    rtype.update(config(server), made.id, prompts(), prompts(data={"a": "2"}), made.outputs)
    assert server.objects[PLACE]["data"] == {"a": "2"}


def test_what_kubectl_wrote_of_a_subresource_stays_its_own(server, time):
    rtype = kind(MAPS, time)
    made = rtype.create(config(server), prompts(), TOKEN)
    fields = {"f:spec": {"f:replicas": {}}}
    scaled = {"manager": "kubectl", "operation": "Update", "subresource": "scale", "apiVersion": "v1", "fieldsV1": fields}
    server.objects[PLACE]["metadata"]["managedFields"].append(scaled)
    rtype.update(config(server), made.id, prompts(), prompts(data={"a": "2"}), made.outputs)
    assert scaled in server.objects[PLACE]["metadata"]["managedFields"]


def test_an_update_that_meets_another_write_begins_again(server, time):
    rtype = kind(MAPS, time)
    made = rtype.create(config(server), prompts(), TOKEN)
    refusals = [status(409, "Conflict", "the object has been modified")] * 2

    def meddle(call: Call) -> Any:
        return refusals.pop() if call.method == "PATCH" and isinstance(call.body, list) and refusals else None

    server.before = meddle
    rtype.update(config(server), made.id, prompts(), prompts(data={"a": "2"}), made.outputs)
    assert server.objects[PLACE]["data"] == {"a": "2"}
    assert not refusals


def test_an_update_of_what_is_gone_says_so(server, time):
    with pytest.raises(ProviderError, match="ConfigMap shop/prompts is gone"):
        kind(MAPS, time).update(config(server), "shop/prompts", prompts(), prompts(data={}), {MANAGER: OURS})


def test_the_servers_words_about_wrong_fields_reach_the_operator_on_one_screen(server, time):
    causes = [{"field": f"spec.f{n}", "message": f'unknown field "spec.f{n}" ' + "x" * 900} for n in range(30)]
    server.before = lambda call: (
        status(400, "BadRequest", "strict decoding error", causes=causes) if call.method == "POST" else None
    )
    with pytest.raises(ProviderError) as caught:
        kind(MAPS, time).create(config(server), prompts(), TOKEN)
    lines = str(caught.value).splitlines()
    assert 'spec.f0: unknown field "spec.f0"' in lines[1]
    assert lines[-1] == "  and 22 more"
    assert all(len(line) < 500 for line in lines)


def test_a_secrets_values_stand_in_no_output_and_no_error_in_plain_text(server, time):
    token, value = "kubernetes:core/v1:Secret", "s3cr"
    stored = base64.b64encode(value.encode()).decode()
    rtype = kind(token, time)
    inputs = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "key"}, "stringData": {"k": value}}
    prepared = rtype.prepare(config(server), inputs)
    assert isinstance(prepared["stringData"], Secret)

    def stores(call: Call) -> None:
        if call.method == "POST":
            marks = {"kubectl.kubernetes.io/last-applied-configuration": stored, "mine": "yes"}
            live = server.objects["/api/v1/namespaces/shop/secrets/key"]
            live.update(data={"k": stored})
            live["metadata"]["annotations"] = marks
            live.pop("stringData", None)

    server.after = stores
    made = rtype.create(config(server), inputs, TOKEN)
    seen = rtype.read(config(server), made.id, inputs, made.outputs)
    assert seen is not None
    for outputs in (made.outputs, seen.outputs):
        assert outputs["data"] == Secret({"k": stored})
        assert outputs["metadata"]["annotations"] == {"mine": "yes"}
        assert stored not in repr(outputs)
    assert seen.inputs == inputs
    said = f"Invalid value: {value} ({stored})"
    server.before = lambda call: status(422, "Invalid", said) if call.method == "POST" else None
    with pytest.raises(ProviderError, match=r"Invalid value: \[secret\] \(\[secret\]\)"):
        rtype.create(config(server), inputs, TOKEN)
