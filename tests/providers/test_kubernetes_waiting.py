"""The provider against a scripted API server: what is waited for, how long, and why in vain."""

from collections.abc import Iterator

import pytest

from tests.providers.kubernetes_samples import (
    DEPLOYMENTS,
    MAPS,
    OURS,
    PLACE,
    ROLLED,
    TOKEN,
    FakeTime,
    config,
    deployment,
    kind,
    prompts,
)
from tests.providers.kubernetes_server import Server, serving
from turnout.engine.provider import ProviderError
from turnout.providers.kubernetes.objects import MANAGER


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


@pytest.fixture
def time() -> FakeTime:
    return FakeTime()


def test_a_deployment_is_waited_for_until_its_last_change_is_rolled_out(server, time):
    place = "/apis/apps/v1/namespaces/shop/deployments/m"
    time.at[1] = lambda: server.objects[place].update(status={"observedGeneration": 0, "conditions": ROLLED})
    time.at[5] = lambda: server.objects[place].update(status={"observedGeneration": 1, "conditions": ROLLED[:1]})
    time.at[9] = lambda: server.objects[place].update(status={"observedGeneration": 1, "conditions": ROLLED})
    made = kind(DEPLOYMENTS, time).create(config(server), deployment(), TOKEN)
    assert 9 <= time.seconds < 11
    assert made.outputs["status"]["conditions"] == ROLLED


@pytest.mark.parametrize(
    ("timeouts", "annotation", "seconds"),
    [({}, {"pulumi.com/timeoutSeconds": "42"}, 42), ({"create": 7.0}, {"pulumi.com/timeoutSeconds": "42"}, 7)],
)
def test_waiting_ends_by_the_programs_timeout_with_the_reasons(server, time, timeouts, annotation, seconds):
    labels = {"labels": {"app": "m"}}
    waits = {"waiting": {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "m:1"'}}
    pod = server.put(
        "/api/v1/namespaces/shop/pods/m-1",
        metadata=labels,
        status={"phase": "Pending", "containerStatuses": [{"name": "server", "state": waits}]},
    )
    server.put(
        "/api/v1/namespaces/shop/events/e",
        involvedObject={"uid": pod["metadata"]["uid"]},
        reason="Failed",
        message="Failed to pull image",
    )
    inputs = deployment(annotations=annotation)
    with pytest.raises(ProviderError) as caught:
        kind(DEPLOYMENTS, time).create(config(server, timeouts), inputs, TOKEN)
    said = str(caught.value)
    assert f"Deployment shop/m is there and not ready after {seconds} s:" in said
    assert 'pod m-1, container server waits: ImagePullBackOff: Back-off pulling image "m:1"' in said
    assert "pod m-1: Failed: Failed to pull image" in said
    assert len(said.splitlines()) <= 12
    found = kind(DEPLOYMENTS, time).find(config(server), inputs, TOKEN)
    assert found is not None
    assert "has not looked at it yet" in found.init_errors[0]


def test_nothing_is_waited_for_where_the_program_says_so(server, time):
    made = kind(DEPLOYMENTS, time).create(config(server), deployment(annotations={"pulumi.com/skipAwait": "true"}), TOKEN)
    assert made.id == "shop/m"
    assert time.seconds == 0


def test_a_condition_of_the_programs_own_takes_the_place_of_the_kinds(server, time):
    marks = {"pulumi.com/waitFor": "jsonpath={.data.b}=2", "pulumi.com/timeoutSeconds": "6"}
    inputs = prompts(metadata={"name": "prompts", "annotations": marks})
    time.at[4] = lambda: server.objects[PLACE]["data"].update(b="2")
    kind(MAPS, time).create(config(server), inputs, TOKEN)
    assert 4 <= time.seconds < 6
    with pytest.raises(ProviderError, match=r"not ready after 6 s:\n  jsonpath=\{.data.b\}=2: there is nothing yet"):
        kind(MAPS, time).create(
            config(server, namespace="other"), {**inputs, "metadata": {**inputs["metadata"], "namespace": "other"}}, TOKEN
        )


def test_an_object_that_somebody_deletes_meanwhile_ends_the_waiting(server, time):
    time.at[2] = lambda: server.objects.pop("/apis/apps/v1/namespaces/shop/deployments/m")
    with pytest.raises(ProviderError, match="was deleted by somebody else"):
        kind(DEPLOYMENTS, time).create(config(server), deployment(), TOKEN)


def test_a_refresh_says_what_an_object_still_lacks(server, time):
    rtype = kind(DEPLOYMENTS, time)
    made = rtype.create(config(server), deployment(annotations={"pulumi.com/skipAwait": "true"}), TOKEN)
    seen = rtype.read(config(server), made.id, deployment(), made.outputs)
    assert seen is not None
    assert seen.init_errors == ("the deployment controller has not looked at it yet",)
    server.objects["/apis/apps/v1/namespaces/shop/deployments/m"]["status"] = {"observedGeneration": 1, "conditions": ROLLED}
    seen = rtype.read(config(server), made.id, deployment(), made.outputs)
    assert seen is not None
    assert (seen.init_errors, seen.inputs, seen.outputs[MANAGER]) == ((), deployment(), OURS)


@pytest.mark.parametrize(
    ("annotation", "policy"), [({}, "Foreground"), ({"pulumi.com/deletionPropagationPolicy": "orphan"}, "Orphan")]
)
def test_a_delete_says_what_becomes_of_dependents_and_waits_until_it_is_gone(server, time, annotation, policy):
    live = server.put(PLACE, metadata={"finalizers": ["foregroundDeletion"]})
    time.at[5] = lambda: server.objects.pop(PLACE)
    inputs = prompts(metadata={"name": "prompts", "annotations": annotation})
    kind(MAPS, time).delete(config(server), "shop/prompts", inputs, {}, 1200)
    assert 5 <= time.seconds < 7
    (deleted,) = [call.body for call in server.calls if call.method == "DELETE"]
    assert deleted["propagationPolicy"] == policy
    assert live["metadata"]["deletionTimestamp"]
    kind(MAPS, time).delete(config(server), "shop/prompts", inputs, {}, 1200)


def test_a_finalizer_that_hangs_is_named_with_who_set_it(server, time):
    entry = {"manager": "keda-operator", "operation": "Update", "apiVersion": "v1",
             "fieldsV1": {"f:metadata": {"f:finalizers": {'v:"keda.sh/done"': {}}}}}  # fmt: skip
    server.put(PLACE, metadata={"finalizers": ["keda.sh/done", "foregroundDeletion"], "managedFields": [entry]})
    with pytest.raises(ProviderError) as caught:
        kind(MAPS, time).delete(config(server, {"delete": 9.0}), "shop/prompts", prompts(), {}, 9.0)
    assert str(caught.value).splitlines() == [
        "ConfigMap shop/prompts is not gone after 9 s:",
        "  finalizer keda.sh/done: set by keda-operator",
        "  finalizer foregroundDeletion: the garbage collector, until its dependents are gone",
    ]


def test_an_object_that_was_made_again_by_others_is_gone_for_us(server, time):
    server.put(PLACE, metadata={"finalizers": ["x"]})
    time.at[1] = lambda: server.put(PLACE)
    kind(MAPS, time).delete(config(server), "shop/prompts", prompts(), {}, 30)
    assert time.seconds < 3
