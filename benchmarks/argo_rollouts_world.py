"""One local cluster for both: API server with an audit log, Gateway on Envoy, Prometheus, a user for each controller."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import yaml
from lightkube import Client
from lightkube.models.authentication_v1 import TokenRequestSpec
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import ServiceAccountToken
from turnout_components.release import name_of

from benchmarks import prometheus
from benchmarks.argo_rollouts_calls import Call, calls
from benchmarks.prometheus import Prometheus
from benchmarks.service import Service, release
from benchmarks.waiting import wait_for
from turnout.access import Access
from turnout.cloud import client
from turnout.cloud.client import CloudHandle
from turnout.cluster import binaries
from turnout.cluster.binaries import Binaries
from turnout.cluster.local import CLASS, GATEWAY_NAME, GATEWAY_NAMESPACE
from turnout.cluster.versions import ARGO_ROLLOUTS
from turnout.cluster.watching import GATEWAY, NAMESPACE, Kind, connect, kind
from turnout.stacks import load as load_stack

ROOT = Path(__file__).parents[1]
STACK = "local-kubernetes"
SPEED = 2.0
"""Of the local cluster: divides probes' periods, and so the time that a server has to start, and preStop sleeps."""
GIVEN = "ARGO_ROLLOUTS"
"""Names a build of the controller; its definitions are in `crds` beside it."""
USERS = "users"
"""The namespace of both controllers' service accounts."""
OLD, NEW, BAD = "1.0.0", "2.0.0", "3.0.0-bad"

DEPLOYMENT = kind("apps", "v1", "Deployment", "deployments")
_ACCOUNT = kind("", "v1", "ServiceAccount", "serviceaccounts")
_BINDING = kind("rbac.authorization.k8s.io", "v1", "ClusterRoleBinding", "clusterrolebindings", namespaced=False)
_SPLIT = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "trafficsplits.split.smi-spec.io"},
    "spec": {
        "group": "split.smi-spec.io",
        "scope": "Namespaced",
        "names": {
            "kind": "TrafficSplit",
            "plural": "trafficsplits",
            "singular": "trafficsplit",
            "listKind": "TrafficSplitList",
        },
        "versions": [
            {
                "name": "v1alpha2",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }
        ],
    },
}
"""SMI's own definition is of a version of CustomResourceDefinition that the API server serves no more."""
_AUDITED = """\
#!/bin/sh
exec {apiserver} "$@" --audit-policy-file={policy} --audit-log-path={log}
"""


class NotInstalled(Exception):
    """A program is missing; the message says how to get it."""


@dataclass(frozen=True)
class Argo:
    """A build of Argo Rollouts' controller, and its custom resources."""

    program: Path
    crds: Path


def argo(environ: Mapping[str, str] = os.environ) -> Argo:
    """The build that ARGO_ROLLOUTS names, else the cache's. Raises `NotInstalled`."""
    given = environ.get(GIVEN)
    (program,) = ARGO_ROLLOUTS.packages
    path = Path(given) if given else binaries.optional(ARGO_ROLLOUTS, environ) / program
    for needed in (path, path.parent / "crds"):
        if not needed.exists():
            raise NotInstalled(
                f"there is no {needed}.\n"
                f"Build Argo Rollouts {ARGO_ROLLOUTS.version} from its Go module (some 3 minutes on 2 idle cores):\n"
                f"  python -m tools.kubernetes {ARGO_ROLLOUTS.folder}\n"
                f"or name a controller of yours with {GIVEN}=/path/to/{program}, its custom resources in `crds` beside it."
            )
    return Argo(path, path.parent / "crds")


@dataclass
class World:
    """The cluster with the digits service: 1.0.0 with all traffic, 2.0.0 on the standby."""

    home: Path
    cloud: CloudHandle
    client: Client
    prometheus: Prometheus
    log: Path
    """The audit log."""

    @property
    def access(self) -> Access:
        """The stack, as the user `turnout`."""
        return _access(self.home, self.cloud)

    @property
    def namespace(self) -> str:
        """The service's."""
        return self.access.stack.service

    def kubeconfig(self, user: str) -> Path:
        """Of a controller's own user."""
        return _kubeconfig(self.home, user)

    def url(self) -> str:
        """Where the service's users ask."""
        return self.url_of(GATEWAY_NAME)

    def url_of(self, gateway: str) -> str:
        """Where a Gateway's listener `http` answers."""
        found = next(one for one in self.cloud.state()["cluster"]["gateways"] if one["name"] == gateway)
        return next(str(one["url"]) for one in found["listeners"] if one["name"] == "http")

    def calls(self) -> list[Call]:
        """What the audited users have asked for."""
        with self.log.open() as lines:
            return calls(lines)

    def apply(self, what: Kind, found: dict[str, Any]) -> None:
        """Server-side apply, as an operator."""
        _apply(self.client, what, found)

    def template(self, version: str) -> dict[str, Any]:
        """The pod template of the release as Turnout deploys it."""
        digest = release(version)
        for found in self.client.list(DEPLOYMENT.main, namespace=self.namespace):
            template: dict[str, Any] = found["spec"]["template"]
            if digest.partition("@")[2] in json.dumps(template["metadata"]["annotations"]):
                return json.loads(json.dumps(template))  # type: ignore[no-any-return]
        raise LookupError(f"no Deployment of {version}")

    def deploy(self, version: str) -> None:
        """Brings a release to the standby; returns when it is healthy."""
        record = self.access.store.read()
        assert record is not None
        assert record.traffic is not None
        active = record.traffic.active
        standby = next(name for name in record.environments if name != active)
        kept = record.environments[standby].release or ""
        file = load_stack(self.home / "project", STACK).file
        content = yaml.safe_load(file.read_text())
        config = content["config"]
        config["turnout:environments"][standby]["release"] = release(version)
        config["turnout:traffic"]["active"] = active
        config["turnout:traffic"]["standby"]["discard"] = name_of(kept)
        file.write_text(yaml.safe_dump(content, sort_keys=False))
        turnout(self.home, "up")
        wait_for(f"health of {standby}", lambda: _is_healthy(self.access, standby), 180)


@contextmanager
def world(folder: Path, crds: Path) -> Iterator[World]:
    """A running cluster with the service. `crds`: of Argo Rollouts.

    Raises `NotInstalled` and `NoBinariesError`."""
    if not prometheus.is_installed():
        raise NotInstalled("there is no prometheus on this machine: apt-get install prometheus")
    found = binaries.find()
    with ExitStack() as stack:
        home = folder / "home"
        _write_project(home / "project")
        log = folder / "audit.log"
        assets = _assets(folder / "assets", found, crds, log)
        with mock.patch.dict(os.environ, {"KUBEBUILDER_ASSETS": str(assets)}):
            cloud = client.start(
                home,
                attached=True,
                speed=SPEED,
                images=[ROOT / "examples"],
                root=ROOT,
                program=("turnout.cluster", "--platform", "kubernetes"),
            )
        stack.callback(cloud.stop)
        assert cloud.kubeconfig is not None
        api = connect(cloud.kubeconfig)
        for user in ("turnout", "argo-rollouts"):
            _add_user(api, user, cloud.kubeconfig, _kubeconfig(home, user))
        turnout(home, "init")
        turnout(home, "up")
        access = _access(home, cloud)
        for name in ("blue", "green"):
            wait_for(f"health of {name}", lambda: _is_healthy(access, name), 180)  # noqa: B023
        server = stack.enter_context(prometheus.beside(Service(home, cloud, {}, stack=STACK)))
        yield World(home, cloud, api, server, log)


def turnout(home: Path, *words: str) -> None:
    """A command as an operator has it. Raises `RuntimeError` with what it said."""
    command = [sys.executable, "-m", "turnout", *words, "--stack", STACK]
    environment = {**os.environ, "TURNOUT_HOME": str(home)}
    done = subprocess.run(command, cwd=home / "project", capture_output=True, text=True, env=environment, timeout=600)
    if done.returncode:
        raise RuntimeError(f"turnout {' '.join(words)}: {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


def add_gateway(made: World, name: str) -> None:
    """A Gateway of its own beside the service's."""
    listener = {"name": "http", "port": 80, "protocol": "HTTP", "allowedRoutes": {"namespaces": {"from": "All"}}}
    spec = {"gatewayClassName": CLASS, "listeners": [listener]}
    metadata = {"name": name, "namespace": GATEWAY_NAMESPACE}
    made.apply(GATEWAY, {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": metadata, "spec": spec})


def user_of(account: str) -> str:
    """How the audit log names a controller."""
    return f"system:serviceaccount:{USERS}:{account}"


def _kubeconfig(home: Path, user: str) -> Path:
    return home / f"{user}.kubeconfig"


def _access(home: Path, cloud: CloudHandle) -> Access:
    return Access(load_stack(home / "project", STACK), cloud.endpoint, str(_kubeconfig(home, "turnout")))


def _is_healthy(access: Access, environment: str) -> bool:
    record = access.store.read()
    targets = access.live.targets(record.environments[environment].target_group) if record else []
    return bool(targets) and all(target.state == "healthy" for target in targets)


def _write_project(folder: Path) -> None:
    """The project's settings with the real program, and the local stack with two releases."""
    settings = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())
    settings |= {"main": str(ROOT / settings["main"]), "stackConfigDir": "stacks"}
    content = yaml.safe_load((ROOT / "stacks" / f"Pulumi.{STACK}.yaml").read_text())
    config = content["config"]
    config["turnout:releases"] = str(ROOT / config["turnout:releases"])
    config["turnout:environments"] = {"blue": {"release": release(OLD)}, "green": {"release": release(NEW)}}
    config["turnout:pool"]["minimum"] = 1
    (folder / "stacks").mkdir(parents=True)
    (folder / "Pulumi.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))
    (folder / "stacks" / f"Pulumi.{STACK}.yaml").write_text(yaml.safe_dump(content, sort_keys=False))


def _assets(folder: Path, found: Binaries, crds: Path, log: Path) -> Path:
    """The control plane's programs with an API server that keeps an audit log, and the custom resources of both sides."""
    folder.mkdir(parents=True)
    for program in found.programs.iterdir():
        if program.is_file():
            (folder / program.name).symlink_to(program)
    shutil.copytree(found.crds / "gateway-api", folder / "crds" / "gateway-api")
    shutil.copytree(crds, folder / "crds", dirs_exist_ok=True)
    (folder / "crds" / "split.yaml").write_text(json.dumps(_SPLIT))
    policy = {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived", "ResponseStarted"],
        "rules": [{"level": "Metadata", "users": [user_of("turnout"), user_of("argo-rollouts")]}, {"level": "None"}],
    }
    (folder / "audit.json").write_text(json.dumps(policy))
    audited = folder / "kube-apiserver"
    audited.unlink()
    audited.write_text(_AUDITED.format(apiserver=found.path("kube-apiserver"), policy=folder / "audit.json", log=log))
    audited.chmod(0o755)
    return folder


def _add_user(api: Client, name: str, admin: Path, file: Path) -> None:
    """A service account that may do everything, and its kubeconfig in `file`."""
    metadata = {"name": name, "namespace": USERS}
    _apply(api, NAMESPACE, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": USERS}})
    _apply(api, _ACCOUNT, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", **metadata}],
    }
    _apply(api, _BINDING, binding)
    asked = ServiceAccountToken(
        metadata=ObjectMeta(name=name, namespace=USERS), spec=TokenRequestSpec(audiences=[], expirationSeconds=6 * 3600)
    )
    token = api.create(asked, name, namespace=USERS).status
    assert token is not None
    config = json.loads(admin.read_text())
    config["users"][0]["user"] = {"token": token.token}
    file.write_text(json.dumps(config))
    file.chmod(0o600)


def _apply(api: Client, what: Kind, found: dict[str, Any]) -> None:
    place = {"namespace": found["metadata"]["namespace"]} if what.namespaced else {}
    api.apply(what.main(found), field_manager="benchmark", force=True, **place)
