"""Programs of Kubernetes objects through the whole local engine, against the scripted API server."""

import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.providers.kubernetes_program import PACKAGE, Project
from tests.providers.kubernetes_samples import ROLLED
from tests.providers.kubernetes_server import Call, Server, serving

MAPS = """
first = Object("core/v1:ConfigMap", "first", data={"a": "1"}, opts=on())
Object("core/v1:ConfigMap", "second", metadata={"name": "second"}, data={"of": first.metadata["name"]}, opts=on())
"""
DEPLOYMENT = """
marks = {"pulumi.com/timeoutSeconds": "1"}
Object("apps/v1:Deployment", "m", metadata={"name": "m", "annotations": marks}, spec={"replicas": 1}, opts=on())
"""
SHOP = "/api/v1/namespaces/shop"


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


@pytest.fixture
def project(server: Server, tmp_path: Path) -> Project:
    return Project(tmp_path, server.kubeconfig, "shop")


def names(server: Server, place: str = f"{SHOP}/configmaps/") -> list[str]:
    return sorted(path.removeprefix(place).split("-")[0] for path in server.objects if path.startswith(place))


def test_objects_are_made_left_alone_replaced_and_taken_away(project, server):
    assert project.up(MAPS).changes == {"create": 4}
    assert names(server) == ["first", "second"]
    changes = len(server.changes())
    assert project.up(MAPS).changes == {"same": 4}
    assert len(server.changes()) == changes

    first = next(path for path in server.objects if path.startswith(f"{SHOP}/configmaps/first-"))
    assert server.objects[first]["metadata"]["annotations"] == {"pulumi.com/autonamed": "true"}
    result = project.up(MAPS.replace('"1"', '"2"'))
    assert result.exit_code == 0, project.said()
    assert result.changes == {"replace": 2, "same": 2, "delete": 1}
    said = server.changes()[changes:]
    assert said[0] == f"POST {SHOP}/configmaps", "an auto-named one is made first, under another name"
    assert said[1:3] == [f"DELETE {SHOP}/configmaps/second", f"POST {SHOP}/configmaps"], "one that keeps its name goes first"
    assert said[3:] == [f"DELETE {first}"]
    assert project.destroy().exit_code == 0
    assert names(server) == []


def test_drift_is_shown_and_put_right(project, server):
    body = 'Object("core/v1:ServiceAccount", "s", metadata={"name": "s"}, automountServiceAccountToken=False, opts=on())'
    server.kinds["/api/v1"]["ServiceAccount"] = "serviceaccounts"
    assert project.up(body).exit_code == 0, project.said()
    server.objects[f"{SHOP}/serviceaccounts/s"].update(automountServiceAccountToken=True, secrets=[{"name": "theirs"}])
    assert project.preview(body).changes == {"same": 2, "update": 1, "refresh": 1}
    assert server.objects[f"{SHOP}/serviceaccounts/s"]["automountServiceAccountToken"] is True
    assert project.up(body).exit_code == 0, project.said()
    assert server.objects[f"{SHOP}/serviceaccounts/s"]["automountServiceAccountToken"] is False
    server.objects.pop(f"{SHOP}/serviceaccounts/s")
    assert project.up(body).changes["create"] == 1


def test_a_workload_that_was_not_ready_is_waited_for_again_until_it_is(project, server):
    body = DEPLOYMENT
    assert project.up(body).exit_code == 1
    assert "Deployment shop/m is there and not ready after 1 s" in project.said()
    kept = next(state for state in project.store().load().resources if state.name == "m")
    assert kept.init_errors == ["the deployment controller has not looked at it yet"]
    assert project.up(body).exit_code == 1, "nothing changed, and it is not ready yet"
    server.objects["/apis/apps/v1/namespaces/shop/deployments/m"]["status"] = {"observedGeneration": 9, "conditions": ROLLED}
    assert project.up(body).exit_code == 0
    assert project.up(body).changes == {"same": 3}


def test_a_service_whose_last_pod_went_is_known_as_one_to_wait_for(project, server):
    of = {"labels": {"kubernetes.io/service-name": "m"}}
    place = "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices/s"
    server.put(place, metadata=of, endpoints=[{"conditions": {"ready": True}}])
    body = 'Object("core/v1:Service", "m", metadata={"name": "m"}, spec={"selector": {"app": "m"}}, opts=on())'
    assert project.up(body).exit_code == 0, project.said()
    server.objects.pop(place)
    assert project.refresh().exit_code == 0
    kept = next(state for state in project.store().load().resources if state.name == "m")
    assert kept.init_errors == ["it targets no pod: none with app=m is ready"]


@pytest.mark.parametrize("point", ["after:1", "before:2"])
def test_the_run_after_a_kill_in_mid_create_ends_whole(project, server, point):
    assert project.killed(MAPS, point) == -9
    assert len(names(server)) <= 2
    assert project.up(MAPS).exit_code == 0, project.said()
    assert names(server) == ["first", "second"]
    assert project.up(MAPS).changes == {"same": 4}
    assert project.store().load().pending == []


@pytest.mark.parametrize("point", ["after:1", "after:2"])
def test_the_run_after_a_kill_in_mid_replacement_ends_whole(project, server, point):
    assert project.up(MAPS).exit_code == 0
    changed = MAPS.replace('"1"', '"2"')
    assert project.killed(changed, point) == -9
    assert project.up(changed).exit_code == 0, project.said()
    assert names(server) == ["first", "second"]
    assert project.up(changed).changes == {"same": 4}


def test_a_secret_stands_nowhere_in_plain_text(project, server, tmp_path):
    body = """
    k8s.core.v1.Secret("s", metadata={"name": "s"}, string_data={"k": "planted-value"}, opts=on())
    Object("core/v1:Secret", "t", metadata={"name": "t"}, stringData={"k": "planted-value"}, opts=on())
    """

    def stores(_: Call) -> None:
        for path, live in server.objects.items():
            if "/secrets/" in path and live.pop("stringData", None):
                live["data"] = {"k": "cGxhbnRlZC12YWx1ZQ=="}

    server.after = stores
    body = PACKAGE + textwrap.dedent(body)
    assert project.up(body).exit_code == 0, project.said()
    assert project.up(body).changes == {"same": 4}
    kept = "".join(path.read_text() for path in (tmp_path / "home").rglob("*") if path.is_file())
    for text in (kept, str(project.events)):
        assert "planted-value" not in text
        assert "cGxhbnRlZC12YWx1ZQ==" not in text


def test_a_preview_without_a_cluster_calls_nothing(project, server):
    away = Project(project.folder, server.kubeconfig.replace("127.0.0.1", "10.1.2.3"), "shop")
    result = away.preview(MAPS + DEPLOYMENT, refresh_first=False)
    assert result.changes == {"create": 5}
    assert server.calls == []
    assert away.up(MAPS).exit_code == 1
    assert "is not on this machine" in away.said()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('Object("core/v1:ConfigMapPatch", "p", opts=on())', "type kubernetes:core/v1:ConfigMapPatch is not supported by"),
        ('Object("helm.sh/v3:Release", "r", opts=on())', "type kubernetes:helm.sh/v3:Release is not supported by"),
        (
            'Object("core/v1:Pod", "m", metadata={"generateName": "x-"}, opts=on())',
            "metadata.generateName: is not supported by",
        ),
        (
            'p = Provider("p", kubeconfig="x", deleteUnreachable="true")\n'
            'Object("core/v1:Pod", "m", opts=pulumi.ResourceOptions(provider=p))',
            "provider kubernetes: deleteUnreachable: not supported by the local engine",
        ),
        ('Object("core/v1:Pod", "m")', "no explicit provider"),
    ],
)
def test_what_the_engine_lacks_is_refused_by_name_in_a_preview_already(project, server, body, said):
    assert project.preview(body).exit_code == 1
    assert said in project.said()
    assert server.changes() == []
