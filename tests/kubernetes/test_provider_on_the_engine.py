"""A program of the kit's kind of objects through the local engine on a real API server, and kill -9 in the middle of it."""

import pytest

from tests.providers.kubernetes_program import PACKAGE, Project
from turnout.engine.provider import ProviderConfig
from turnout.providers.kubernetes.cluster import cluster as api_of
from turnout.providers.kubernetes.tokens import kind_of

PROGRAM = """
labels = {"app": "assistant"}
prompts = Object("core/v1:ConfigMap", "prompts", data={"system": "be brief"}, opts=on())
container = {
    "name": "server", "image": "registry.example.com/m@sha256:" + "0" * 64, "ports": [{"name": "http", "containerPort": 8000}],
    "resources": {"requests": {"cpu": "100m"}},
    "envFrom": [{"configMapRef": {"name": prompts.metadata["name"]}}],
}
pods = {"containers": [container], "tolerations": [{"operator": "Exists"}], "terminationGracePeriodSeconds": 1}
spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pods}}
workload = Object("apps/v1:Deployment", "workload", metadata={"name": "assistant-blue"}, spec=spec, opts=on())
front = {"selector": labels, "ports": [{"port": 80, "targetPort": "http"}]}
service = Object("core/v1:Service", "front", metadata={"name": "assistant-blue"}, spec=front, opts=on(depends_on=[workload]))
budget = {"selector": {"matchLabels": labels}, "minAvailable": 1}
Object("policy/v1:PodDisruptionBudget", "budget", metadata={"name": "assistant-blue"}, spec=budget, opts=on())
to = [{"name": "assistant-blue", "port": 80, "weight": WEIGHT}, {"name": "assistant-green", "port": 80, "weight": 100 - WEIGHT}]
edge = {"name": "assistant", "annotations": {"pulumi.com/patchForce": "true"}}
Object("gateway.networking.k8s.io/v1:HTTPRoute", "route", metadata=edge, opts=on(depends_on=[service]),
    spec={"parentRefs": [{"name": "edge"}], "rules": [{"backendRefs": to}]})
"""
PLACES = {
    "apps/v1:Deployment": ["assistant-blue"],
    "core/v1:Service": ["assistant-blue"],
    "policy/v1:PodDisruptionBudget": ["assistant-blue"],
    "gateway.networking.k8s.io/v1:HTTPRoute": ["assistant"],
}


@pytest.fixture
def project(cluster, namespace, tmp_path):
    return Project(tmp_path, str(cluster.kubeconfig), namespace)


def body(weight: int) -> str:
    return PROGRAM.replace("WEIGHT", str(weight))


def objects(project: Project, token: str) -> list[dict]:
    kind = kind_of(f"kubernetes:{token}")
    assert kind is not None
    api = api_of(ProviderConfig({"kubeconfig": project.kubeconfig}))
    return api.get(api.path_of(kind, project.namespace), "the test")["items"]


def assert_whole(project: Project) -> None:
    for token, names in PLACES.items():
        assert [each["metadata"]["name"] for each in objects(project, token)] == names
    maps = [each["metadata"]["name"] for each in objects(project, "core/v1:ConfigMap")]
    assert len([name for name in maps if name.startswith("prompts-")]) == 1


def test_a_stack_is_made_flipped_put_right_and_destroyed(project):
    assert project.up(body(100)).changes == {"create": 7}, project.said()
    assert_whole(project)
    assert project.up(body(100)).changes == {"same": 7}

    route = objects(project, "gateway.networking.k8s.io/v1:HTTPRoute")[0]
    api = api_of(ProviderConfig({"kubeconfig": project.kubeconfig}))
    kind = kind_of("kubernetes:gateway.networking.k8s.io/v1:HTTPRoute")
    assert kind is not None
    rules = route["spec"]["rules"]
    for each, weight in zip(rules[0]["backendRefs"], (30, 70), strict=True):
        each["weight"] = weight
    path = api.path_of(kind, project.namespace, "assistant")
    api.call(
        "PATCH",
        path,
        "x",
        query={"fieldManager": "turnout"},
        body={"spec": {"rules": rules}},
        kind="application/merge-patch+json",
    )

    result = project.up(body(0))
    assert result.exit_code == 0, project.said()
    assert result.changes == {"same": 6, "update": 1, "refresh": 1}
    live = objects(project, "gateway.networking.k8s.io/v1:HTTPRoute")[0]
    assert [each["weight"] for each in live["spec"]["rules"][0]["backendRefs"]] == [0, 100]
    assert project.destroy().exit_code == 0, project.said()
    assert all(objects(project, token) == [] for token in PLACES)


@pytest.mark.parametrize("point", ["after:1", pytest.param("after:3", marks=pytest.mark.slow), "before:5"])
def test_the_run_after_a_kill_on_a_real_api_server_ends_whole(project, point):
    assert project.killed(body(100), point) == -9
    assert project.up(body(100)).exit_code == 0, project.said()
    assert_whole(project)
    assert project.up(body(100)).changes == {"same": 7}
    assert project.store().load().pending == []


@pytest.mark.slow
def test_pulumis_own_classes_say_the_same_to_the_engine(project):
    program = PACKAGE + (
        'k8s.core.v1.Secret("key", string_data={"token": "planted-value"}, opts=on())\n'
        'm = k8s.core.v1.ConfigMap("m", data={"a": "1"}, opts=on())\n'
        'k8s.core.v1.ServiceAccount("s", metadata={"labels": {"of": m.metadata.name}}, opts=on())\n'
        'spec = {"targetGroupARN": "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/b/0123456789abcdef",\n'
        '    "serviceRef": {"name": "s", "port": 80}}\n'
        'k8s.apiextensions.CustomResource("t", "elbv2.k8s.aws/v1beta1", "TargetGroupBinding", spec=spec, opts=on())\n'
    )
    assert project.up(program).changes == {"create": 6}, project.said()
    assert project.up(program).changes == {"same": 6}
    kept = "".join(path.read_text() for path in (project.folder / "home").rglob("*") if path.is_file())
    assert "planted-value" not in kept + str(project.events)
    assert project.destroy().exit_code == 0
