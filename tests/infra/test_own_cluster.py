"""A stack's switch and decision go to the stack's own cluster: TURNOUT_LOCAL_KUBECONFIG is of local stacks and of no other."""

import json
import runpy
from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pulumi
import pytest
import yaml
from recording import record
from turnout_components import cluster_access, route_switch, traffic_switch
from turnout_components.platforms import cluster_of

from infra import providers
from infra.settings import Settings, parse

ROOT = Path(__file__).parents[2]
ON_KUBERNETES: dict[str, dict[str, Any]] = {
    "local": {},
    "cluster": {"cloud": "cluster", "kubernetes": {"context": "office", "gateway": {"name": "public"}}},
}
EKS = {"status": "ACTIVE", "endpoint": "https://eks.example.com", "certificateAuthority": {"data": "Y2E="}}


def kubeconfig(file: Path, **servers: str) -> str:
    """A kubeconfig file with an API server for each context; the first is the current one."""
    known = {
        "current-context": next(iter(servers)),
        "clusters": [{"name": name, "cluster": {"server": server}} for name, server in servers.items()],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}} for name in servers],
        "users": [{"name": name, "user": {}} for name in servers],
    }
    file.write_text(yaml.safe_dump(known))
    return str(file)


@pytest.fixture
def local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The local cluster's kubeconfig, which the variable names whatever the stack is; the user's own has two clusters."""
    found = kubeconfig(tmp_path / "local", local="https://127.0.0.1:28549")
    own = kubeconfig(tmp_path / "own", home="https://home.example.com", office="https://office.example.com")
    monkeypatch.setenv("TURNOUT_LOCAL_KUBECONFIG", found)
    monkeypatch.setenv("TURNOUT_LOCAL_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("KUBECONFIG", own)
    return found


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The API servers that clients are made for."""
    servers: list[str] = []

    def client(config: Any) -> Any:
        servers.append(config.cluster.server)
        return SimpleNamespace(get=lambda *_, **__: {})

    monkeypatch.setattr(cluster_access, "_client", client)
    return servers


def stack(name: str, **changes: Any) -> dict[str, Any]:
    document = yaml.safe_load((ROOT / "stacks" / f"Pulumi.{name}.yaml").read_text())["config"]
    found = {key.removeprefix("turnout:"): value for key, value in document.items()}
    for key, value in deepcopy(changes).items():
        found[key] = {**found[key], **value} if isinstance(value, dict) else value
    return found


def aws(service: str) -> Any:
    if service == "eks":
        return SimpleNamespace(describe_cluster=lambda **_: {"cluster": EKS})
    return SimpleNamespace(
        meta=SimpleNamespace(events=SimpleNamespace(register=lambda *_, **__: None)),
        generate_presigned_url=lambda *_, **__: "https://sts.example.com/",
    )


def server_of(settings: Settings, asked: list[str]) -> str:
    """Where the decision before the resources looks."""
    cluster_of(providers.place(settings), aws).get("Pod", "team", "p")
    return asked[-1]


@pytest.mark.usefixtures("local")
@pytest.mark.parametrize(("cloud", "server"), [("local", "https://127.0.0.1:28549"), ("cluster", "https://office.example.com")])
def test_a_decision_in_a_cluster_that_exists_looks_at_the_stacks_context(cloud, server, asked):
    assert server_of(parse(stack("local-kubernetes", **ON_KUBERNETES[cloud]), ROOT), asked) == server


@pytest.mark.usefixtures("local")
@pytest.mark.parametrize(("cloud", "server"), [("local", "https://127.0.0.1:28549"), ("aws", "https://eks.example.com")])
def test_a_decision_on_eks_looks_at_the_cluster_of_the_account(cloud, server, asked):
    assert server_of(parse(stack("prod-eks", cloud=cloud), ROOT), asked) == server


@pytest.mark.parametrize(
    ("name", "changes", "component", "is_local"),
    [
        ("local-kubernetes", ON_KUBERNETES["local"], route_switch, True),
        ("local-kubernetes", ON_KUBERNETES["cluster"], route_switch, False),
        ("prod-eks", {"cloud": "local"}, traffic_switch, True),
        ("prod-eks", {}, traffic_switch, False),
    ],
)
def test_the_gate_is_told_the_local_cluster_by_a_local_stack_only(
    name, changes, component, is_local, local, monkeypatch: pytest.MonkeyPatch
):
    gates: list[dict[str, Any]] = []
    settings_of = component.gate_settings

    def recorded(*args: Any, **more: Any) -> Any:
        return settings_of(*args, **more).apply(lambda found: gates.append(found) or found)

    monkeypatch.setattr(component, "gate_settings", recorded)
    monkeypatch.setenv("TURNOUT_OFFLINE", "1")
    monkeypatch.setattr(pulumi, "get_root_directory", lambda: str(ROOT))
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in stack(name, **changes).items()}
    pulumi.runtime.set_all_config({f"turnout:{key}": text for key, text in texts.items()})
    try:
        record(lambda: {"weights": runpy.run_path(str(ROOT / "infra"))["outputs"]["weights"]})
    finally:
        pulumi.runtime.set_all_config({})
    (gate,) = gates
    assert gate["kubeconfig"] == (local if is_local else None)
    assert gate["context"] == (changes.get("kubernetes") or {}).get("context")


def test_a_decision_keeps_what_steps_the_standby_down(local):
    image = "registry.example.com/kubectl@sha256:" + "ab" * 32
    given = {"step_down": {"image": image, "account": "stepper"}}
    found = providers.place(parse(stack("local-kubernetes", kubernetes=given), ROOT))
    assert (found.kubeconfig, found.step_down_image, found.step_down_account) == (local, image, "stepper")
