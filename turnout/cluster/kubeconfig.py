"""The kubeconfig of a user of a local cluster."""

import base64
import json
from pathlib import Path


def kubeconfig(url: str, pki: Path, user: str) -> str:
    """One cluster, one user and one context, with the certificates in it: it can be copied elsewhere on the machine.

    JSON is YAML, so every client reads it ("Organizing Cluster Access Using kubeconfig Files", Kubernetes)."""
    name = "turnout-local"
    cluster = {"server": url, "certificate-authority-data": _encoded(pki / "ca.crt")}
    credentials = {
        "client-certificate-data": _encoded(pki / f"{user}.crt"),
        "client-key-data": _encoded(pki / f"{user}.key"),
    }
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": user, "user": credentials}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": user}}],
        "current-context": name,
    }
    return json.dumps(config, indent=1) + "\n"


def _encoded(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
