"""The local cluster: a real control plane, servers behind its pods, a gateway in front; a part of the local cloud's daemon."""

import logging
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from subprocess import Popen
from typing import Any

import boto3
from lightkube import Client
from turnout_components.kubernetes_names import ENVIRONMENT_LABEL, NAME_LABEL

from turnout.cloud.envoy_config import Address
from turnout.cloud.parts import PartError, Tools
from turnout.cluster import binaries, crds, stages
from turnout.cluster.binaries import NoBinariesError
from turnout.cluster.control_plane import ControlPlane, ControlPlaneError
from turnout.cluster.crds import CrdError
from turnout.cluster.gateway import GatewayController
from turnout.cluster.gateway_model import CONTROLLER
from turnout.cluster.load_balancer_controller import PROGRAM, LoadBalancerController, LoadBalancerControllerError
from turnout.cluster.nodes import small_fleet
from turnout.cluster.pods import Pods, Served
from turnout.cluster.readiness_gates import ReadinessGates
from turnout.cluster.target_groups import TargetGroups
from turnout.cluster.versions import LOAD_BALANCER_CONTROLLER
from turnout.cluster.watching import GATEWAY, GATEWAY_CLASS, NAMESPACE, NODE, POD, Kind, Watch, connect, labels_of

logger = logging.getLogger(__name__)

PLATFORMS = ("eks", "kubernetes")
CLASS, GATEWAY_NAME, GATEWAY_NAMESPACE = "turnout-local", "turnout", "turnout-gateway"
"""The GatewayClass, and the Gateway that is there for all services, with listeners `http` (80) and `test` (8081)."""


class LocalCluster:
    """The cluster of one home. What it stored goes with it: as the account's, its objects live as long as the daemon."""

    name = "cluster"

    def __init__(self, tools: Tools, platform: str, load_balancer_controller: bool = False) -> None:
        """`load_balancer_controller`: on EKS, the AWS Load Balancer Controller itself in the stand-in's place."""
        self._tools = tools
        self._platform = platform
        self._real_controller = load_balancer_controller
        self._folder = tools.folder / "cluster"
        shutil.rmtree(self._folder, ignore_errors=True)
        self._plane: ControlPlane | None = None
        self._pods: Pods | None = None
        self._gateway: GatewayController | None = None
        self._watch: Watch | None = None
        self._client: Client | None = None
        self._balancers: list[TargetGroups | ReadinessGates | LoadBalancerController] = []
        self._clients: dict[str, Any] = {}
        self._known: dict[str, Address] = {}

    def start(self) -> None:
        """Comes up; returns when the API takes objects and the Gateway is there.

        Raises `PartError`."""
        self._folder.mkdir(mode=0o700, parents=True)
        config = self._folder / "stages.yaml"
        config.write_text(stages.configuration())
        try:
            found = binaries.find()
            self._plane = ControlPlane(self._folder, found, stages=config)
            self._plane.start()
            client = connect(self._plane.kubeconfig)
            crds.install(client, found.crds)
        except (NoBinariesError, ControlPlaneError, CrdError) as error:
            raise PartError(str(error)) from None
        furnish(client)
        self._serve(client)
        if self._platform == "eks":
            self._fill_target_groups(client, self._plane.kubeconfig)

    def _serve(self, client: Client) -> None:
        tools, self._client = self._tools, client
        self._watch = Watch(client, POD, tools.wake).start()
        self._pods = Pods(
            client, self._watch, tools.folder, tools.root, tools.catalogue, tools.registry, tools.ports, tools.wake, tools.speed
        )
        self._gateway = GatewayController(client, tools.folder, tools.registry, tools.ports, self.addresses)
        self._gateway.start()

    def _fill_target_groups(self, client: Client, kubeconfig: Path) -> None:
        folder = self._folder / "load-balancer-controller"
        if self._real_controller:
            self._balancers = [self._controller(client, folder, kubeconfig)]
        elif self._watch is not None:
            self._balancers = [TargetGroups(client, self._watch, self._balancing), ReadinessGates(client, folder)]
        try:
            for one in self._balancers:
                one.start()
        except LoadBalancerControllerError as error:
            raise PartError(str(error)) from None

    def _controller(self, client: Client, folder: Path, kubeconfig: Path) -> LoadBalancerController:
        part, tools = LOAD_BALANCER_CONTROLLER, self._tools
        program = binaries.optional(part) / PROGRAM
        if not program.exists():
            raise PartError(f"no {PROGRAM} on this machine. Build it: `python -m tools.kubernetes {part.folder}`")
        return LoadBalancerController(
            client, folder, program, kubeconfig, tools.endpoint(), tools.registry, tools.ports, tools.speed
        )

    def _balancing(self, region: str) -> Any:
        """ELBv2's client of a region; the local account asks for no particular key."""
        if region not in self._clients:
            keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
            self._clients[region] = boto3.client("elbv2", endpoint_url=self._tools.endpoint(), region_name=region, **keys)
        return self._clients[region]

    def look(self) -> bool:
        """One look at pods and proxy; whether something is on its way."""
        if self._plane is None or self._pods is None or self._gateway is None:
            return False
        for fallen in self._plane.fallen():
            logger.error("%s; stop the local cloud and start it again", fallen)
        self._gateway.revive()
        self._pods.reconcile()
        addresses = self._pods.addresses()
        if addresses != self._known:
            self._known = addresses
            self._gateway.poke()
        return self._pods.busy()

    def addresses(self) -> Mapping[str, Address]:
        """Where the server behind each pod's address listens."""
        return self._known

    def state(self) -> dict[str, Any]:
        """The cluster, as the state shows it."""
        return {
            **self.published(),
            "api": self._plane.url if self._plane is not None else None,
            "gateways": self._gateway.describe() if self._gateway is not None else [],
            "pods": self._pods.describe() if self._pods is not None else [],
        }

    def published(self) -> dict[str, Any]:
        """For those that look for a running cloud."""
        return {"platform": self._platform, "kubeconfig": str(self._plane.kubeconfig) if self._plane is not None else None}

    def targets(self) -> list[dict[str, Any]]:
        """The servers and the proxy for Prometheus."""
        served = self._pods.serving() if self._pods is not None else []
        admin = self._gateway.envoy.admin if self._gateway is not None else None
        return [*_servers(served), *(_proxy(admin) if admin is not None else ())]

    def running(self) -> "list[Popen[bytes]]":
        """Servers and proxy."""
        servers = [one.process for one in self._pods.serving()] if self._pods is not None else []
        proxy = self._gateway.envoy.process if self._gateway is not None else None
        return [process for process in (*servers, proxy) if process is not None]

    def close(self) -> None:
        """Ends the control plane and what watches it."""
        for one in (*self._balancers, self._gateway, self._watch, self._pods):
            if one is not None:
                one.close()
        if self._client is not None:
            self._client.close()
        if self._plane is not None:
            self._plane.stop()


def furnish(client: Client) -> None:
    """What stands in a cluster before any stack: nodes, the class of Gateways, and one Gateway for all."""
    for machine in small_fleet():
        _apply(client, NODE, machine)
    _apply(client, GATEWAY_CLASS, _gateway_object("GatewayClass", {"name": CLASS}, {"controllerName": CONTROLLER}))
    _apply(client, NAMESPACE, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": GATEWAY_NAMESPACE}})
    listeners = [
        {"name": name, "port": port, "protocol": "HTTP", "allowedRoutes": {"namespaces": {"from": "All"}}}
        for name, port in (("http", 80), ("test", 8081))
    ]
    spec = {"gatewayClassName": CLASS, "listeners": listeners}
    _apply(client, GATEWAY, _gateway_object("Gateway", {"name": GATEWAY_NAME, "namespace": GATEWAY_NAMESPACE}, spec))


def _gateway_object(kind: str, metadata: dict[str, Any], spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "gateway.networking.k8s.io/v1", "kind": kind, "metadata": metadata, "spec": spec}


def _apply(client: Client, kind: Kind, found: dict[str, Any]) -> None:
    client.apply(kind.main(found), force=True)


def _servers(served: Iterable[Served]) -> list[dict[str, Any]]:
    """The pods' servers, with the labels of docs/metrics.md; `instance` is the pod's address, its id in the switch's
    record."""
    found = []
    for one in served:
        labels = labels_of(one.pod)
        own = {
            "service": labels.get(NAME_LABEL),
            "environment": labels.get(ENVIRONMENT_LABEL),
            "group": _group(one.pod),
            "release": str(one.spec.release["digest"]) if one.spec is not None else None,
            "namespace": one.key[0],
            "pod": one.key[1],
            "instance": one.ip,
        }
        address = f"127.0.0.1:{one.port}"
        found.append({"targets": [address], "labels": {name: value for name, value in own.items() if value}})
    return found


def _group(pod: Mapping[str, Any]) -> str | None:
    """The workload that the pod is of, as the switch's record names it."""
    labels, namespace = labels_of(pod), pod["metadata"]["namespace"]
    if "leaderworkerset.sigs.k8s.io/name" in labels:
        return f"LeaderWorkerSet/{namespace}/{labels['leaderworkerset.sigs.k8s.io/name']}"
    for owner in pod["metadata"].get("ownerReferences") or ():
        if owner["kind"] == "ReplicaSet":
            return f"Deployment/{namespace}/{owner['name'].removesuffix('-' + labels.get('pod-template-hash', ''))}"
    return None


def _proxy(admin: Address) -> list[dict[str, Any]]:
    labels = {"job": "gateway", "__metrics_path__": "/stats/prometheus"}
    return [{"targets": [f"{admin[0]}:{admin[1]}"], "labels": labels}]
