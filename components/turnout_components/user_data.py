"""User data of a GPU node: what it writes on the machine and how the release in it is read back."""

import json
from typing import Any

_BEGIN = "cat > /etc/turnout/node.json <<'TURNOUT'\n"
_END = "\nTURNOUT\n"

_SCRIPT = """#!/bin/bash
set -euo pipefail
mkdir -p /etc/turnout
{begin}{node}{end}cat > /etc/systemd/system/turnout.service <<'UNIT'
[Unit]
Description=Turnout model server
After=docker.service network-online.target
Requires=docker.service

[Service]
ExecStartPre=-/usr/bin/docker rm --force turnout
ExecStart=/usr/bin/docker run --name turnout --gpus all --publish {port}:{port} --env PORT={port} \\
  --env TURNOUT_RELEASE_DIGEST={digest} {env}--volume /etc/turnout:/etc/turnout:ro {image} {flags}
ExecStop=/usr/bin/docker stop --time {drain} turnout
TimeoutStopSec={stop_timeout}
Restart=always

[Install]
WantedBy=multi-user.target
UNIT
systemctl daemon-reload
systemctl enable --now turnout.service
"""


def render(service: str, environment: str, release: dict[str, Any], port: int, drain: int) -> str:
    """The script (plain text) that makes an instance serve `release` (`Release.for_storage()`) on `port`.

    The server runs as a systemd unit, which starts on every boot: user data itself runs on the first boot only
    ("Run commands when you launch an EC2 instance with user data input", Amazon EC2 User Guide). `drain`: seconds that a
    stopping server may take to finish what is in flight.
    """
    node = {"service": service, "environment": environment, "port": port, "release": release}
    return _SCRIPT.format(
        begin=_BEGIN,
        end=_END,
        node=json.dumps(node, sort_keys=True),
        port=port,
        digest=release["digest"],
        image=release["image"],
        flags=" ".join(release["engine"]["flags"]),
        env="".join(f"--env {name}={value} " for name, value in sorted(release["engine"].get("env", {}).items())),
        drain=drain,
        stop_timeout=drain + 10,
    )


def read_release(user_data: str) -> dict[str, Any] | None:
    """What `render` wrote (`service`, `environment`, `port`, `release`), or None for another's user data."""
    _, found, rest = user_data.partition(_BEGIN)
    if not found:
        return None
    node: dict[str, Any] = json.loads(rest.partition(_END)[0])
    return node
