"""The provider's rules as tables: tokens, names, what replaces, what is drift, what is refused."""

import base64
from typing import Any

import pytest

from tests.providers.kubernetes_samples import kind_named as kind
from turnout.engine.plan import Goal, Kind, auto_named, decide, name_stays
from turnout.engine.state import ResourceState
from turnout.engine.values import UNKNOWN, Secret
from turnout.providers import registry
from turnout.providers.kubernetes import type_of, wait_for
from turnout.providers.kubernetes.drift import reflected
from turnout.providers.kubernetes.tokens import kind_of


@pytest.mark.parametrize(
    ("token", "api_version", "path"),
    [
        ("kubernetes:core/v1:Service", "v1", "/api/v1"),
        ("kubernetes:apps/v1:Deployment", "apps/v1", "/apis/apps/v1"),
        (
            "kubernetes:gateway.networking.k8s.io/v1:HTTPRoute",
            "gateway.networking.k8s.io/v1",
            "/apis/gateway.networking.k8s.io/v1",
        ),
        ("kubernetes:keda.sh/v1alpha1:ScaledObject", "keda.sh/v1alpha1", "/apis/keda.sh/v1alpha1"),
        ("kubernetes:autoscaling/v2:HorizontalPodAutoscaler", "autoscaling/v2", "/apis/autoscaling/v2"),
    ],
)
def test_a_token_says_group_version_and_kind(token, api_version, path):
    found = kind_of(token)
    assert found is not None
    assert (found.api_version, found.path) == (api_version, path)
    assert registry()[token] is type_of(token)


@pytest.mark.parametrize(
    "token",
    [
        "kubernetes:core/v1:ConfigMapList", "kubernetes:core/v1:ConfigMapPatch", "kubernetes:helm.sh/v3:Release",
        "kubernetes:helm.sh/v4:Chart", "kubernetes:kustomize/v2:Directory", "kubernetes:yaml/v2:ConfigGroup",
        "kubernetes:yaml:ConfigFile", "kubernetes:meta/v1:Status", "kubernetes:apps:Deployment", "aws:ec2/vpc:Nothing",
    ],
)  # fmt: skip
def test_what_is_no_single_object_is_no_type_of_the_engine(token):
    assert token not in registry()


def test_aws_types_are_still_listed_and_those_of_kubernetes_are_not():
    found = registry()
    assert len(found) == len(list(found)) > 50
    assert not any(token.startswith("kubernetes:") for token in found)


@pytest.mark.parametrize(
    ("token", "path", "replaces"),
    [
        ("apps/v1:Deployment", "spec.selector", True),
        ("apps/v1:Deployment", "spec.template", False),
        ("apps/v1:Deployment", "spec.replicas", False),
        ("apps/v1:StatefulSet", "spec.serviceName", True),
        ("apps/v1:DaemonSet", "spec.selector", True),
        ("batch/v1:Job", "spec.template", True),
        ("batch/v1:CronJob", "spec.jobTemplate", False),
        ("core/v1:ConfigMap", "data", True),
        ("core/v1:Secret", "stringData", True),
        ("core/v1:Service", "spec.clusterIP", True),
        ("core/v1:Service", "spec.selector", False),
        ("core/v1:PersistentVolumeClaim", "spec.storageClassName", True),
        ("core/v1:PersistentVolumeClaim", "spec.resources", False),
        ("core/v1:Pod", "spec.containers", True),
        ("rbac.authorization.k8s.io/v1:RoleBinding", "roleRef", True),
        ("rbac.authorization.k8s.io/v1:RoleBinding", "subjects", False),
        ("policy/v1:PodDisruptionBudget", "spec", False),
        ("gateway.networking.k8s.io/v1:HTTPRoute", "spec.rules", False),
        ("gateway.networking.k8s.io/v1:HTTPRoute", "metadata.name", True),
        ("core/v1:ServiceAccount", "metadata.namespace", True),
        ("core/v1:ServiceAccount", "metadata.labels", False),
    ],
)
def test_a_changed_field_replaces_where_the_provider_says_so(token, path, replaces):
    rtype = kind(token)
    names = path.split(".")

    def inputs(value: str) -> dict[str, Any]:
        tree: Any = value
        for name in reversed(names):
            tree = {name: tree}
        return {"metadata": {"name": "x"}, **tree} if names[0] != "metadata" else tree

    old = ResourceState("urn", rtype.token, True, inputs=inputs("1"))
    step = decide(old, Goal("urn", rtype.token, "x", True, inputs("2")), rtype)
    assert step.kind is (Kind.REPLACE if replaces else Kind.UPDATE)
    assert step.replacing == ((names[0],) if replaces else ())


def named(metadata: Any) -> dict[str, Any]:
    return {"metadata": metadata} if metadata is not None else {}


@pytest.mark.parametrize(
    ("metadata", "old", "expected"),
    [
        (None, None, {"name": "prompts-01234567", "annotations": {"pulumi.com/autonamed": "true"}}),
        ({"labels": {"a": "b"}}, None,
         {"labels": {"a": "b"}, "name": "prompts-01234567", "annotations": {"pulumi.com/autonamed": "true"}}),
        ({"annotations": {"a": "b"}}, {"name": "old", "annotations": {"pulumi.com/autonamed": "true"}},
         {"name": "old", "annotations": {"a": "b", "pulumi.com/autonamed": "true"}}),
        ({}, {"name": "given"}, {"name": "prompts-01234567", "annotations": {"pulumi.com/autonamed": "true"}}),
        ({"name": "given"}, None, {"name": "given"}),
        ({"name": UNKNOWN}, None, {"name": UNKNOWN}),
        (UNKNOWN, None, UNKNOWN),
        ({"generateName": "x-"}, None, {"generateName": "x-"}),
        (Secret({"labels": {}}), None,
         Secret({"labels": {}, "name": "prompts-01234567", "annotations": {"pulumi.com/autonamed": "true"}})),
    ],
)  # fmt: skip
def test_an_object_without_a_name_gets_one_and_keeps_it(metadata, old, expected):
    rtype = kind("core/v1:ConfigMap")
    goal = Goal("urn", rtype.token, "prompts", True, named(metadata))
    assert auto_named(goal, rtype.auto_name, named(old), "0123456789abcdef") == {"metadata": expected}


@pytest.mark.parametrize(
    ("wanted", "old", "stays"),
    [
        ({"name": "a"}, {"name": "a"}, True),
        ({"name": "b"}, {"name": "a"}, False),
        ({"name": "a", "namespace": "n"}, {"name": "a", "namespace": "m"}, False),
        ({"name": "a", "namespace": "n"}, {"name": "a", "namespace": "n"}, True),
        ({}, {"name": "a", "annotations": {"pulumi.com/autonamed": "true"}}, False),
    ],
)
def test_a_replacement_deletes_first_where_name_and_namespace_stay(wanted, old, stays):
    rtype = kind("core/v1:ConfigMap")
    state = ResourceState("urn", rtype.token, True, inputs=named(old))
    assert name_stays(Goal("urn", rtype.token, "x", True, named(wanted)), state, rtype) is stays


def test_what_is_not_known_yet_may_replace():
    rtype = kind("apps/v1:Deployment")
    old = ResourceState("urn", rtype.token, True, inputs={"spec": {"selector": {"a": "b"}, "replicas": 1}})
    for spec, step in (
        ({"selector": {"a": UNKNOWN}}, Kind.REPLACE),
        ({"selector": {"a": "b"}, "replicas": UNKNOWN}, Kind.UPDATE),
    ):
        assert decide(old, Goal("urn", rtype.token, "x", True, {"spec": spec}), rtype).kind is step


def test_an_object_that_was_not_ready_is_updated_though_nothing_changed():
    rtype = kind("apps/v1:Deployment")
    old = ResourceState("urn", rtype.token, True, inputs={"spec": {}}, init_errors=["not ready"])
    goal = Goal("urn", rtype.token, "x", True, {"spec": {}})
    assert decide(old, goal, rtype).kind is Kind.UPDATE
    old.init_errors = []
    assert decide(old, goal, rtype).kind is Kind.SAME


CONTAINERS: dict[str, Any] = {
    'k:{"name":"server"}': {
        "f:ports": {'k:{"containerPort":8000,"protocol":"TCP"}': {}},
        "f:resources": {"f:limits": {"f:cpu": {}}},
        "f:env": {},
    },
    'k:{"name":"istio"}': {},
}
SERVER = {"name": "server", "ports": [{"containerPort": 8000}], "resources": {"limits": {"cpu": "1000m"}}}
PORT = {"containerPort": 8000, "protocol": "TCP"}
LIVE_SERVER = {"name": "server", "ports": [PORT], "resources": {"limits": {"cpu": "1"}}, "tty": False}


@pytest.mark.parametrize(
    ("declared", "live", "tree", "found"),
    [
        ({"a": 1}, {"a": 1, "b": 2}, {}, {"a": 1}),
        ({"a": 1}, {"a": 2}, {}, {"a": 2}),
        ({"a": 1, "b": 2}, {"a": 1}, {}, {"a": 1}),
        ({"a": {}, "b": [], "c": "", "d": 0, "e": False}, {}, {}, {"a": {}, "b": [], "c": "", "d": 0, "e": False}),
        ({"a": {"x": 1}}, {"a": {"x": 1, "defaulted": 3}}, {}, {"a": {"x": 1}}),
        ({"a": True}, {"a": 1}, {}, {"a": 1}),
        # quantities, and texts that only look like some
        ({"memory": "1024Mi"}, {"memory": "1Gi"}, {}, {"memory": "1024Mi"}),
        ({"cpu": 2}, {"cpu": "2"}, {}, {"cpu": 2}),
        ({"memory": "1Gi"}, {"memory": "1G"}, {}, {"memory": "1G"}),
        ({"labels": {"a": "1000m"}}, {"labels": {"a": "1"}}, {}, {"labels": {"a": "1"}}),
        ({"env": [{"name": "A", "value": "1000m"}]}, {"env": [{"name": "A", "value": "1"}]}, {},
         {"env": [{"name": "A", "value": "1"}]}),
        # lists as a whole
        ({"l": [{"a": 1}, {"a": 2}]}, {"l": [{"a": 1, "x": 0}, {"a": 3, "x": 0}]}, {}, {"l": [{"a": 1}, {"a": 3}]}),
        ({"l": [1, 2]}, {"l": [2, 1]}, {}, {"l": [2, 1]}),
        ({"l": [1]}, {"l": [1, 2]}, {}, {"l": [1, 2]}),
        # sets: what others added is theirs
        ({"l": ["a", "b"]}, {"l": ["x", "b", "a"]}, {"f:l": {'v:"a"': {}}}, {"l": ["a", "b"]}),
        ({"l": ["a", "b"]}, {"l": ["a"]}, {"f:l": {'v:"a"': {}}}, {"l": ["a"]}),
        # lists of maps by their keys: order, defaulted keys, sidecars
        ({"containers": [SERVER]}, {"containers": [{"name": "istio"}, LIVE_SERVER]}, {"f:containers": CONTAINERS},
         {"containers": [SERVER]}),
        ({"containers": [SERVER]}, {"containers": [{**LIVE_SERVER, "resources": {"limits": {"cpu": "2"}}}]},
         {"f:containers": CONTAINERS}, {"containers": [{**SERVER, "resources": {"limits": {"cpu": "2"}}}]}),
        ({"containers": [SERVER]}, {"containers": [{"name": "istio"}]}, {"f:containers": CONTAINERS}, {"containers": []}),
    ],
)  # fmt: skip
def test_only_what_the_program_declares_can_drift(declared, live, tree, found):
    entries = [{"manager": "m", "operation": "Apply", "fieldsV1": tree}]
    assert reflected(declared, {**live, "metadata": {"managedFields": entries}}) == found


def test_what_a_secret_was_given_as_text_is_compared_with_what_is_stored():
    live = {"data": {"k": base64.b64encode(b"value").decode(), "blob": "/w=="}, "metadata": {}}
    assert reflected({"stringData": {"k": "value"}}, live) == {"stringData": {"k": "value"}}
    assert reflected({"stringData": {"k": "other"}}, live) == {"stringData": {"k": "value"}}
    assert reflected({"stringData": {"gone": "x", "blob": "text"}}, live) == {"stringData": {"blob": "/w=="}}


LIVE = {
    "status": {"phase": "Running", "n": 2, "list": [{"ip": "1.2.3.4"}],
               "conditions": [{"type": "Accepted", "status": "True"}, {"type": "Ready", "status": "False", "reason": "Why"}]},
    "metadata": {"annotations": {"a.b/c": "d"}},
}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "lacks"),
    [
        ("condition=Accepted", ""),
        ("condition=accepted=True", ""),
        ("condition=Ready", "it is False (Why)"),
        ("condition=Ready=False", ""),
        ("condition=Programmed", "it is not reported"),
        ("jsonpath={.status.phase}=Running", ""),
        ("jsonpath={.status.phase}=Pending", "it is Running"),
        ("jsonpath={.status.n}=2", ""),
        ("jsonpath={.status.list[0].ip}", ""),
        ("jsonpath={.status.list[1].ip}", "there is nothing yet"),
        ("jsonpath={.metadata.annotations['a.b/c']}=d", ""),
        ('["condition=Accepted", "condition=Ready"]', "it is False (Why)"),
    ],
)
def test_what_a_program_waits_for_is_read_from_the_object(text, lacks):
    found = wait_for.missing(LIVE, text)
    assert [each.partition(": ")[2] for each in found] == ([lacks] if lacks else [])


@pytest.mark.parametrize(
    ("inputs", "property", "reason"),
    [
        ({"kind": "Secret"}, "kind", "is 'Secret'; kubernetes:core/v1:ConfigMap has 'ConfigMap'"),
        ({"apiVersion": "v2"}, "apiVersion", "is 'v2'"),
        ({"metadata": "x"}, "metadata", "is no object"),
        ({"metadata": {"generateName": "x-"}}, "metadata.generateName", "is not supported by the local engine"),
        ({"metadata": {"managedFields": [{}]}}, "metadata.managedFields", "is not supported by the local engine"),
        *(
            ({"metadata": {"annotations": {f"pulumi.com/{name}": value}}}, f"metadata.annotations[pulumi.com/{name}]", reason)
            for name, value, reason in (
                ("replaceUnready", "true", "is not supported by the local engine"),
                ("patchFieldManager", "me", "is not supported by the local engine"),
                ("timeoutSeconds", "5m", "'5m' is no whole number of seconds"),
                ("skipAwait", "yes", "'yes' is neither true nor false"),
                ("deletionPropagationPolicy", "now", "'now' is none of foreground, background, orphan"),
                ("waitFor", "Ready", "'Ready' begins with neither condition= nor jsonpath={…}"),
                ("waitFor", "jsonpath={.a[?(@.b)]}", "the local engine knows names and numbers in a path"),
                ("waitFor", "[]", "wants a text, or a JSON list of texts with at least one"),
            )
        ),
    ],
)
def test_what_the_engine_lacks_or_nobody_can_mean_is_refused_by_name(inputs, property, reason):
    given = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, **inputs}
    (fault,) = kind("core/v1:ConfigMap").check(given)
    assert fault.property == property
    assert reason in fault.reason


def test_what_is_not_known_yet_is_no_fault():
    marks = {"pulumi.com/timeoutSeconds": UNKNOWN, "pulumi.com/waitFor": UNKNOWN, "other.com/x": "y"}
    for metadata in (UNKNOWN, {"annotations": UNKNOWN}, {"annotations": marks}, None):
        assert kind("core/v1:ConfigMap").check({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}) == []
    assert "status" not in kind("core/v1:ConfigMap").inputs
