"""What a pool tells its nodes: the node document of a release on a machine, and the user data that carries it."""

import base64
from collections.abc import Mapping
from typing import Any

from turnout_components import capacity, checks
from turnout_components.naming import group_name
from turnout_components.user_data import LAUNCH_HOOK, TERMINATE_HOOK, Options, document, of_document


def named(stack: str, identity: Mapping[str, Any]) -> dict[str, Any]:
    """`identity` (`service`, `environment`, `region`, `release`) with the names of its `group` and `log_group`."""
    service, environment = identity["service"], identity["environment"]
    return {
        **identity,
        "group": group_name(service, stack, environment, identity["release"]["digest"]),
        "log_group": f"/turnout/{service}/{stack}/{environment}",
    }


def node(identity: Mapping[str, Any], machine: Mapping[str, Any], beside: Mapping[str, Any]) -> dict[str, Any]:
    """The node document. `identity` as `named` makes it, `machine` with its defaults, `beside`: `secrets` and `vault`.

    Raises `ValueError` for a secret that is no reference."""
    capacity.refuse({**machine, **beside})
    said = {**machine, **beside}
    options: Options = {
        "region": identity["region"],
        "group": identity["group"],
        "log_group": identity["log_group"],
        "hooks": {"launch": LAUNCH_HOOK, "terminate": TERMINATE_HOOK},
    }
    for key in ("launch_timeout", "secrets", "vault", "protect_streams", "efa", "boot"):
        if said.get(key):
            options[key] = said[key]
    if said.get("mirror_image"):
        options["mirror"] = mirror(said["mirror_image"])
    if said.get("health_path"):
        options["health"] = said["health_path"]
    port, drain = int(machine["port"]), int(machine["drain"])
    return document(identity["service"], identity["environment"], identity["release"], port, drain, **options)


def mirror(image: str) -> dict[str, Any]:
    """What a node is told of the mirrors that it may run: Envoy's image, and the ports that Envoy takes."""
    return {"image": image, "port": capacity.MIRROR_PORT, "admin": capacity.MIRROR_ADMIN_PORT}


def user_data(node: Mapping[str, Any]) -> str:
    """The document's user data in base64, as a launch template takes it.

    Raises `ValueError` where an instance would not take so much."""
    script = of_document(node)
    for fault in checks.user_data_size(script):
        raise ValueError(f"user data of {node['environment']}: {fault.value} {fault.reason}; {fault.fix}")
    return base64.b64encode(script.encode()).decode()
