"""When an object of each kind is ready, as a table."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.providers.kubernetes_samples import kind_named as kind
from tests.providers.kubernetes_server import Server, serving
from turnout.engine.provider import ProviderConfig
from turnout.providers.kubernetes.cluster import Cluster, cluster
from turnout.providers.kubernetes.ready import Failed, readiness_of
from turnout.providers.kubernetes.readying import seconds_for


def conditions(*given: tuple[str, str, str]) -> dict[str, Any]:
    return {"observedGeneration": 2, "conditions": [{"type": t, "status": s, "reason": r} for t, s, r in given]}


ROLLED = (("Available", "True", ""), ("Progressing", "True", "NewReplicaSetAvailable"))
ADDRESS = {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]}}
PATHS = {"rules": [{"http": {"paths": [{"backend": {"service": {"name": "api"}}}, {"backend": {"resource": {}}}]}}]}


@pytest.fixture
def api() -> Iterator[tuple[Server, Cluster]]:
    with serving() as server:
        yield server, cluster(ProviderConfig({"kubeconfig": server.kubeconfig}))


@pytest.mark.parametrize(
    ("token", "spec", "status", "missing"),
    [
        ("apps/v1:Deployment", {}, conditions(*ROLLED), ""),
        ("apps/v1:Deployment", {}, {**conditions(*ROLLED), "observedGeneration": 1}, "has not looked at it yet"),
        ("apps/v1:Deployment", {}, conditions(*ROLLED[:1]), "Progressing is not reported yet"),
        ("apps/v1:Deployment", {}, conditions(ROLLED[0], ("Progressing", "True", "ReplicaSetUpdated")), "ReplicaSetUpdated"),
        ("apps/v1:Deployment", {}, conditions(("Available", "False", "Minimum"), ROLLED[1]), "Available=False Minimum"),
        ("apps/v1:Deployment", {}, conditions(ROLLED[0], ("Progressing", "False", "Deadline")), "Progressing=False Deadline"),
        ("apps/v1:Deployment", {"paused": True}, {}, ""),
        ("apps/v1:StatefulSet", {"replicas": 2},
         {"observedGeneration": 2, "readyReplicas": 2, "currentRevision": "a", "updateRevision": "a"}, ""),
        ("apps/v1:StatefulSet", {"replicas": 2},
         {"observedGeneration": 2, "readyReplicas": 1, "currentRevision": "a", "updateRevision": "a"}, "1 of 2 pods are ready"),
        ("apps/v1:StatefulSet", {"replicas": 2},
         {"observedGeneration": 2, "readyReplicas": 2, "updatedReplicas": 1, "currentRevision": "a", "updateRevision": "b"},
         "1 of 2 pods are of the last revision"),
        ("apps/v1:StatefulSet", {"replicas": 0}, {"observedGeneration": 2, "updateRevision": "b"}, ""),
        ("apps/v1:DaemonSet", {}, {"observedGeneration": 2, "desiredNumberScheduled": 2, "updatedNumberScheduled": 2}, ""),
        ("apps/v1:DaemonSet", {}, {"observedGeneration": 2, "desiredNumberScheduled": 2, "updatedNumberScheduled": 1},
         "1 of 2 nodes"),
        ("apps/v1:DaemonSet", {}, {"observedGeneration": 2, "desiredNumberScheduled": 2, "updatedNumberScheduled": 2,
                                   "numberUnavailable": 1}, "1 of 2 pods are not available"),
        ("batch/v1:Job", {}, {}, "it is not complete"),
        ("batch/v1:Job", {}, conditions(("Complete", "True", "")), ""),
        ("batch/v1:Job", {"suspend": True}, {}, ""),
        ("core/v1:Pod", {}, {"phase": "Succeeded"}, ""),
        ("core/v1:Pod", {}, conditions(("Ready", "True", "")), ""),
        ("core/v1:Pod", {}, conditions(("Ready", "False", "ContainersNotReady")), "ContainersNotReady"),
        ("core/v1:Service", {"selector": {"app": "none"}}, {}, "it targets no pod: none with app=none is ready"),
        ("core/v1:Service", {"selector": {"app": "none"}, "clusterIP": "None"}, {}, ""),
        ("core/v1:Service", {"type": "ExternalName"}, {}, ""),
        ("core/v1:Service", {}, {}, ""),
        ("core/v1:Service", {"type": "LoadBalancer"}, {}, "no address was allocated"),
        ("core/v1:Service", {"type": "LoadBalancer"}, ADDRESS, ""),
        ("networking.k8s.io/v1:Ingress", {}, {}, "no address was allocated"),
        ("networking.k8s.io/v1:Ingress", {}, ADDRESS, ""),
        ("networking.k8s.io/v1:Ingress", PATHS, ADDRESS, "its service api targets no pod"),
        ("core/v1:PersistentVolumeClaim", {}, {"phase": "Bound"}, ""),
        ("core/v1:PersistentVolumeClaim", {}, {"phase": "Pending"}, "it is Pending, not Bound"),
        ("core/v1:PersistentVolumeClaim", {"storageClassName": "late"}, {"phase": "Pending"}, ""),
        ("core/v1:PersistentVolumeClaim", {"storageClassName": "gone"}, {"phase": "Pending"}, "it is Pending"),
        ("core/v1:PersistentVolume", {}, {"phase": "Available"}, ""),
        ("core/v1:PersistentVolume", {}, {"phase": "Failed"}, "it is Failed"),
        ("core/v1:ResourceQuota", {"hard": {"pods": "1"}}, {"hard": {"pods": "1"}}, ""),
        ("core/v1:ResourceQuota", {"hard": {"pods": "1"}}, {}, "has not taken its limits"),
        ("apiextensions.k8s.io/v1:CustomResourceDefinition", {}, conditions(("Established", "True", "")), ""),
        ("apiextensions.k8s.io/v1:CustomResourceDefinition", {}, {}, "Established is not reported yet"),
    ],
)  # fmt: skip
def test_an_object_is_ready_when_the_provider_says_so(api, token, spec, status, missing):
    server, its = api
    server.put("/apis/storage.k8s.io/v1/storageclasses/late", volumeBindingMode="WaitForFirstConsumer")
    live = {"metadata": {"name": "x", "namespace": "shop", "generation": 2}, "spec": spec, "status": status}
    readiness = readiness_of(kind(token).kind)
    assert readiness is not None
    found = readiness.check(live, its)
    assert bool(found) == bool(missing)
    assert missing in "; ".join(found)


def test_a_service_is_ready_with_one_ready_endpoint(api):
    server, its = api
    readiness = readiness_of(kind("core/v1:Service").kind)
    assert readiness is not None
    live = {"metadata": {"name": "api", "namespace": "shop"}, "spec": {"selector": {"app": "m"}}}
    place = "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices/s"
    of = {"labels": {"kubernetes.io/service-name": "api"}}
    server.put(place, metadata=of, endpoints=[{"conditions": {"ready": False}}])
    assert readiness.check(live, its)
    server.put(place, metadata=of, endpoints=[{"conditions": {"ready": False}}, {"conditions": {"ready": True}}])
    assert readiness.check(live, its) == []


def test_a_job_that_failed_and_a_definition_whose_names_are_taken_are_never_waited_for(api):
    failed = ("Failed", "True", "BackoffLimitExceeded")
    taken = ("NamesAccepted", "False", "KindConflict")
    for token, given in (("batch/v1:Job", failed), ("apiextensions.k8s.io/v1:CustomResourceDefinition", taken)):
        readiness = readiness_of(kind(token).kind)
        assert readiness is not None
        with pytest.raises(Failed, match=given[2]):
            readiness.check({"metadata": {}, "spec": {}, "status": conditions(given)}, api[1])


@pytest.mark.parametrize(
    ("token", "seconds"),
    [("apps/v1:Deployment", 600), ("core/v1:Pod", 300), ("core/v1:Service", 600), ("core/v1:PersistentVolumeClaim", 300)],
)
def test_a_kind_is_waited_for_as_long_as_the_provider_waits(token, seconds):
    assert seconds_for(kind(token).kind, {}, ProviderConfig(), "create") == seconds
    assert seconds_for(kind(token).kind, {}, ProviderConfig({}, {"update": 5.0}), "create") == seconds
    assert seconds_for(kind(token).kind, {}, ProviderConfig({}, {"update": 5.0}), "update") == 5


@pytest.mark.parametrize(
    "token", ["gateway.networking.k8s.io/v1:HTTPRoute", "keda.sh/v1alpha1:ScaledObject", "core/v1:ConfigMap"]
)
def test_kinds_that_the_provider_does_not_know_are_not_waited_for(token):
    assert readiness_of(kind(token).kind) is None
