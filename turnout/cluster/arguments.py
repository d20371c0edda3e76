"""The command lines of a local control plane's parts: everything on loopback, as a real cluster has it otherwise."""

from dataclasses import dataclass
from pathlib import Path

LEASE_SECONDS = 40
"""For which a node's lease counts: with kwok's own 40 s unset its nodes go NotReady and their pods stay unready."""
_SERVICE_ADDRESSES = "10.96.0.0/16"
_POD_ADDRESSES = "10.244.0.1/16"
_QPS, _BURST = 300, 600
"""Of controllers and scheduler: their own 20 and 30 make 200 nodes slow."""
_WATCHES_END = 1
"""Seconds for open watches at the API server's end; without, it waits a minute for whoever still watches."""


@dataclass(frozen=True)
class Addresses:
    """A loopback port for each listener."""

    etcd: int
    etcd_peers: int
    apiserver: int
    controllers: int
    scheduler: int
    kwok: int


def commands(folder: Path, pki: Path, ports: Addresses, stages: Path | None) -> dict[str, list[str]]:
    """The arguments of each part, in the order of their start."""
    return {
        "etcd": _etcd(folder, pki, ports),
        "kube-apiserver": _apiserver(folder, pki, ports),
        "kube-controller-manager": _controllers(folder, pki, ports),
        "kube-scheduler": _scheduler(folder, pki, ports),
        "kwok": _kwok(folder, ports, stages),
    }


def _etcd(folder: Path, pki: Path, ports: Addresses) -> list[str]:
    """A power cut may lose what it stored (`--unsafe-no-fsync`): a rehearsal's objects are not worth a disk's time."""
    clients, peers = f"https://127.0.0.1:{ports.etcd}", f"https://127.0.0.1:{ports.etcd_peers}"
    certificates = [f"--{of}{what}" for of in ("", "peer-") for what in _tls(pki, "etcd")]
    return [
        "--name=local",
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls={clients}",
        f"--advertise-client-urls={clients}",
        f"--listen-peer-urls={peers}",
        f"--initial-advertise-peer-urls={peers}",
        f"--initial-cluster=local={peers}",
        *certificates,
        "--unsafe-no-fsync",
        "--auto-compaction-retention=5m",
        f"--quota-backend-bytes={2 * 1024**3}",
        "--log-level=warn",
    ]


def _tls(pki: Path, name: str) -> tuple[str, ...]:
    return (
        f"cert-file={pki / name}.crt",
        f"key-file={pki / name}.key",
        f"trusted-ca-file={pki / 'ca.crt'}",
        "client-cert-auth",
    )


def _apiserver(folder: Path, pki: Path, ports: Addresses) -> list[str]:
    """RBAC and the admission plugins that are on by default, PodSecurity among them, and NodeRestriction, as kubeadm
    has it. The `kubernetes` Service has no endpoints: the API refuses loopback addresses as endpoints."""
    return [
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        f"--secure-port={ports.apiserver}",
        "--endpoint-reconciler-type=none",
        f"--service-cluster-ip-range={_SERVICE_ADDRESSES}",
        f"--etcd-servers=https://127.0.0.1:{ports.etcd}",
        f"--etcd-cafile={pki / 'ca.crt'}",
        f"--etcd-certfile={pki / 'etcd.crt'}",
        f"--etcd-keyfile={pki / 'etcd.key'}",
        f"--cert-dir={folder / 'certificates'}",
        f"--tls-cert-file={pki / 'kube-apiserver.crt'}",
        f"--tls-private-key-file={pki / 'kube-apiserver.key'}",
        f"--client-ca-file={pki / 'ca.crt'}",
        f"--requestheader-client-ca-file={pki / 'ca.crt'}",
        "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        f"--proxy-client-cert-file={pki / 'front-proxy.crt'}",
        f"--proxy-client-key-file={pki / 'front-proxy.key'}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={pki / 'service-accounts.key.pub'}",
        f"--service-account-signing-key-file={pki / 'service-accounts.key'}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        f"--shutdown-watch-termination-grace-period={_WATCHES_END}s",
        "--profiling=false",
    ]


def _controllers(folder: Path, pki: Path, ports: Addresses) -> list[str]:
    return [
        "--bind-address=127.0.0.1",
        f"--secure-port={ports.controllers}",
        *_speaking_with(folder, pki, "kube-controller-manager"),
        f"--service-account-private-key-file={pki / 'service-accounts.key'}",
        f"--root-ca-file={pki / 'ca.crt'}",
        f"--cluster-signing-cert-file={pki / 'ca.crt'}",
        f"--cluster-signing-key-file={pki / 'ca.key'}",
        "--use-service-account-credentials=true",
    ]


def _scheduler(folder: Path, pki: Path, ports: Addresses) -> list[str]:
    return [
        "--bind-address=127.0.0.1",
        f"--secure-port={ports.scheduler}",
        *_speaking_with(folder, pki, "kube-scheduler"),
    ]


def _speaking_with(folder: Path, pki: Path, part: str) -> list[str]:
    """One of each runs, so none waits for a lead."""
    kubeconfig = folder / f"{part}.kubeconfig"
    return [
        f"--tls-cert-file={pki / part}.crt",
        f"--tls-private-key-file={pki / part}.key",
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        "--leader-elect=false",
        f"--kube-api-qps={_QPS}",
        f"--kube-api-burst={_BURST}",
        "--profiling=false",
    ]


def _kwok(folder: Path, ports: Addresses, stages: Path | None) -> list[str]:
    """Only nodes with kwok's annotation are its own: others may have another that plays the kubelet."""
    own = [] if stages is None else [f"--config={stages}"]
    return [
        f"--kubeconfig={folder / 'kwok.kubeconfig'}",
        "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake",
        f"--node-lease-duration-seconds={LEASE_SECONDS}",
        f"--cidr={_POD_ADDRESSES}",
        "--node-ip=127.0.0.1",
        f"--server-address=127.0.0.1:{ports.kwok}",
        *own,
    ]
