"""User data of a GPU node: what it writes on the machine and how the release in it is read back."""

import base64
import bz2
import json
from collections.abc import Mapping
from typing import Any, TypedDict, Unpack

from turnout_components import node_scripts

LAUNCH_HOOK = "turnout-launch"
TERMINATE_HOOK = "turnout-terminate"
METRICS_NAMESPACE = node_scripts.METRICS_NAMESPACE

NODE = node_scripts.NODE
"""Where the node document lies on the machine."""
_BEFORE, _AFTER = 'packed = "', '"\n'
_SCRIPT = """#!/bin/bash
# Turnout's node. What is packed here lies on it: /etc/turnout/node.json says what it was told.
set -euo pipefail
ROOT="${{TURNOUT_ROOT:-}}"
mkdir -p "$ROOT/var/lib/turnout/models"
python3 - "$ROOT" <<'TURNOUT'
import base64, bz2, json, os, sys

root = sys.argv[1]
{before}{packed}{after}for path, text in json.loads(bz2.decompress(base64.b85decode(packed))).items():
    os.makedirs(os.path.dirname(root + path), exist_ok=True)
    with open(root + path, "w") as file:
        file.write(text)
    os.chmod(root + path, 0o755 if "/bin/" in path else 0o644)
TURNOUT
bash "$ROOT/usr/local/lib/turnout/install.sh"
"""
_ENCODED = base64.b64encode(_SCRIPT[:30].encode()).decode()
"""How our user data begins in base64; 30 bytes end with a whole group of it."""


class Options(TypedDict, total=False):
    """What a node may be told beside its release."""

    region: str
    """Where the node's group, logs and metrics are."""
    group: str
    """Its auto scaling group, whose hooks it completes and under whose name it publishes metrics."""
    log_group: str
    """Where its container's output goes. Default `/turnout/<service>/<environment>`."""
    health: str
    """Path that answers 200 when the server serves. Asked with `?release=<digest>`. Default /ready."""
    hooks: Mapping[str, str]
    """`launch` and `terminate`: names of the group's lifecycle hooks. Default none."""
    launch_timeout: int
    """Seconds after which a launch that does not answer is abandoned. Default 1800."""
    secrets: Mapping[str, str]
    """Reference by the name of the environment variable: a Secrets Manager ARN (optionally `#json-key`),
    `ssm:/path`, or `vault:<path>#<field>`."""
    vault: Mapping[str, str]
    """`address` and `role`, where a reference is Vault's."""
    protect_streams: bool
    """Protect the instance from scale-in while requests run."""
    efa: bool
    """Give the container the Elastic Fabric Adapters."""
    mirror: Mapping[str, Any]
    """`image` of Envoy by digest, and the ports `port` and `admin` that it takes. Default: the node runs no mirror."""
    boot: Mapping[str, float]
    """Seconds that `machine`, `image`, `model` and `resume` take in the local cloud; elsewhere unused."""


def document(
    service: str, environment: str, release: Mapping[str, Any], port: int, drain: int, **options: Unpack[Options]
) -> dict[str, Any]:
    """The node document: everything that a node is told, defaults filled in."""
    node: dict[str, Any] = {
        "service": service,
        "environment": environment,
        "region": "",
        "group": "",
        "log_group": f"/turnout/{service}/{environment}",
        "port": port,
        "drain": drain,
        "health": "/ready",
        "launch_timeout": 1800,
        "release": release,
        "secrets": {},
        "hooks": {},
        "boot": {},
        **options,
    }
    return node


def render(
    service: str, environment: str, release: Mapping[str, Any], port: int, drain: int, **options: Unpack[Options]
) -> str:
    """The script (plain text) that makes an instance serve `release` (`Release.for_storage()`) on `port`.

    The server runs as a systemd unit, which starts on every boot: user data itself runs on the first boot only
    ("Run commands when you launch an EC2 instance with user data input", Amazon EC2 User Guide). `drain`: seconds that a
    stopping server may take to finish what is in flight.

    Everything is packed: beside the scripts of `node/` a large release would not fit into the 16 KB. With bzip2, not gzip: its
    output does not depend on the version of a library, so the same input gives the same user data on every machine.
    cloud-init would also unpack gzipped user data, but then nothing could be read from it.
    """
    return of_document(document(service, environment, release, port, drain, **options))


def of_document(node: Mapping[str, Any]) -> str:
    """`render` from what `document` made."""
    content = json.dumps(node_scripts.files(node), sort_keys=True).encode()
    return _SCRIPT.format(before=_BEFORE, packed=base64.b85encode(bz2.compress(content)).decode(), after=_AFTER)


def read_release(user_data: str) -> dict[str, Any] | None:
    """The node document that `render` wrote, or None for another's user data."""
    files = _files(user_data)
    return None if files is None else dict(json.loads(files[NODE]))


def unpacked(encoded: str) -> dict[str, str] | None:
    """Every file that `render` packed, text by path, from user data in base64 as a launch template has it; None for what is no
    user data of ours."""
    if not encoded.startswith(_ENCODED):
        return None
    try:
        return _files(base64.b64decode(encoded).decode())
    except (ValueError, OSError, EOFError):
        return None


def _files(script: str) -> dict[str, str] | None:
    _, found, rest = script.partition(_BEFORE)
    if not found:
        return None
    files: dict[str, str] = json.loads(bz2.decompress(base64.b85decode(rest.partition(_AFTER)[0])))
    return files
