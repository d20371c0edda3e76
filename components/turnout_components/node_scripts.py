"""The files that user data puts on a node: scripts and systemd units as they lie in `node/`, and the values they read."""

import shlex
from collections.abc import Mapping
from importlib import resources
from typing import Any

METRICS_NAMESPACE = "Turnout"
_LIBRARY = ("common", "secrets", "install")
_PROGRAMS = ("serve", "stop", "lifecycle", "metrics")
_UNITS = ("turnout.service", "turnout-lifecycle.service", "turnout-metrics.service", "turnout-metrics.timer")


def files(node: Mapping[str, Any]) -> dict[str, str]:
    """Text by path on the node. `node`: the document that `user_data.document` makes."""
    folder = resources.files("turnout_components") / "node"
    read = {name: (folder / name).read_text() for name in (*(f"{n}.sh" for n in (*_LIBRARY, *_PROGRAMS)), *_UNITS)}
    return {
        "/etc/turnout/node.env": environment(node),
        **{f"/usr/local/lib/turnout/{name}.sh": read[f"{name}.sh"] for name in _LIBRARY},
        **{f"/usr/local/bin/turnout-{name}": read[f"{name}.sh"] for name in _PROGRAMS},
        **{f"/etc/systemd/system/{name}": read[name] for name in _UNITS},
    }


def environment(node: Mapping[str, Any]) -> str:
    """The document as bash reads it: what the scripts need, each value quoted."""
    release, hooks, vault = node["release"], node["hooks"], node.get("vault") or {}
    values = {
        "REGION": node["region"],
        "GROUP": node["group"],
        "LOG_GROUP": node["log_group"],
        "NAMESPACE": METRICS_NAMESPACE,
        "PORT": node["port"],
        "HEALTH": node["health"],
        "DRAIN": node["drain"],
        "LAUNCH_HOOK": hooks.get("launch", ""),
        "TERMINATE_HOOK": hooks.get("terminate", ""),
        "LAUNCH_TIMEOUT": node["launch_timeout"],
        "PROTECT_STREAMS": "1" if node.get("protect_streams") else "",
        "EFA": "1" if node.get("efa") else "",
        "VAULT_ADDRESS": vault.get("address", ""),
        "VAULT_ROLE": vault.get("role", ""),
        "DIGEST": release["digest"],
        "IMAGE": release["image"],
        "MODEL_URI": release["model"]["uri"],
        "MODEL_SHA256": release["model"]["sha256"].removeprefix("sha256:"),
    }
    engine = release["engine"]
    variables = [f"--env={name}={value}" for name, value in sorted(engine.get("env", {}).items())]
    secrets = " ".join(f"[{name}]={shlex.quote(reference)}" for name, reference in sorted(node["secrets"].items()))
    lines = [f"{name}={shlex.quote(str(value))}" for name, value in values.items()]
    lines += [
        f"FLAGS=({shlex.join(engine['flags'])})",
        f"ENGINE_ENV=({shlex.join(variables)})",
        f"declare -A SECRETS=({secrets})",
    ]
    return "\n".join(lines) + "\n"
