"""The files that user data puts on a node: scripts and systemd units of `node/`, the mirror's modules, the values they read.

Comments and docstrings stay behind: user data has 16 KB.
"""

import ast
import functools
import json
import shlex
from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import PurePosixPath
from typing import Any

from turnout_components.mirror_bootstrap import Place, bootstrap
from turnout_components.mirror_setting import parameter

METRICS_NAMESPACE = "Turnout"
NODE = "/etc/turnout/node.json"
_LIBRARY = ("common", "secrets", "install")
_PROGRAMS = ("serve", "stop", "lifecycle", "metrics")
_MIRROR_MODULES = ("fault", "mirror", "mirror_node")
_MIRROR_FOLDER = PurePosixPath("/run/turnout/mirror")
_UNITS = ("turnout.service", "turnout-lifecycle.service", "turnout-metrics.service", "turnout-metrics.timer")


def files(node: Mapping[str, Any]) -> dict[str, str]:
    """Text by path on the node. `node`: the document that `user_data.document` makes."""
    return {
        NODE: json.dumps(node, sort_keys=True),
        "/etc/turnout/release.json": json.dumps(node["release"], sort_keys=True),
        "/etc/turnout/node.env": environment(node),
        **{f"/usr/local/lib/turnout/{name}.sh": _text(f"node/{name}.sh") for name in _LIBRARY},
        **{f"/usr/local/bin/turnout-{name}": _text(f"node/{name}.sh") for name in _PROGRAMS},
        **{f"/etc/systemd/system/{name}": _text(f"node/{name}") for name in _UNITS},
        **(_mirror_files(node) if node.get("mirror") else {}),
    }


def _mirror_files(node: Mapping[str, Any]) -> dict[str, str]:
    """The modules that the local cloud uses too, and what Envoy starts with."""
    mirror = node["mirror"]
    local = "127.0.0.1"
    place = Place(("0.0.0.0", mirror["port"]), (local, node["port"]), _MIRROR_FOLDER, (local, mirror["admin"]))
    return {
        "/etc/turnout/mirror.json": json.dumps(bootstrap(place), separators=(",", ":")),
        "/usr/local/bin/turnout-mirror": _text("node/mirror.sh"),
        "/etc/systemd/system/turnout-mirror.service": _text("node/turnout-mirror.service"),
        **{f"/usr/local/lib/turnout/turnout_components/{name}.py": _text(f"{name}.py") for name in _MIRROR_MODULES},
    }


@functools.cache
def _text(name: str) -> str:
    """Read once: CPython's parser may fail with "AST constructor recursion depth mismatch" while another thread parses."""
    text = (resources.files("turnout_components") / name).read_text()
    return without_comments(text, set(_docstrings(text)) if name.endswith(".py") else set())


def without_comments(text: str, besides: set[int]) -> str:
    """The text without empty lines, comments of a line, and the lines `besides`, counted from 1. `#!` stays."""
    lines = [line for number, line in enumerate(text.splitlines(), 1) if number not in besides and line.strip()]
    return "".join(f"{line}\n" for line in lines if line.startswith("#!") or not line.lstrip().startswith("#"))


def _docstrings(text: str) -> Iterator[int]:
    """The lines of texts that are statements, where others stand beside them."""
    for node in ast.walk(ast.parse(text)):
        body = getattr(node, "body", None)
        for each in body if isinstance(body, list) and len(body) > 1 else ():
            if isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant) and isinstance(each.value.value, str):
                yield from range(each.lineno, (each.end_lineno or each.lineno) + 1)


def environment(node: Mapping[str, Any]) -> str:
    """The document as bash reads it: what the scripts need, each value quoted."""
    release, hooks, vault = node["release"], node["hooks"], node.get("vault") or {}
    mirror = node.get("mirror") or {}
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
    if mirror:
        values |= {
            "MIRROR_IMAGE": mirror["image"],
            "MIRROR_PORT": mirror["port"],
            "MIRROR_ADMIN": mirror["admin"],
            "MIRROR_PARAMETER": parameter(node["group"]),
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
