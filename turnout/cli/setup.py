"""`turnout init`: where the switch record is kept: a table, or on Kubernetes a namespace."""

from typing import TYPE_CHECKING, Any

from turnout.cli.session import Session, screen
from turnout.stacks import KUBERNETES

if TYPE_CHECKING:
    from turnout.access import Access


def init(stack: str) -> None:
    """Makes the table or namespace where it is missing. A table in AWS is protected against deletion and has
    point-in-time recovery."""
    session = Session(stack)
    access = session.access()
    result = _namespace(access) if session.stack.platform == KUBERNETES else _table(access)
    screen().line(f"next: turnout up --stack {session.stack.name}")
    screen().result(result)


def _table(access: "Access") -> dict[str, Any]:
    from turnout_components.items import create_table

    target = access.stack
    made = create_table(access.client("dynamodb"), target.record_table, protect=not target.is_local)
    where = "the local cloud" if target.is_local else f"AWS, {target.region}"
    screen().line(f"table {target.record_table} in {where}: {_done(made)}")
    return {"table": target.record_table, "made": made, "stack": target.name}


def _namespace(access: "Access") -> dict[str, Any]:
    """Also tells what whoever runs this may not do, but has to for flips and rollbacks."""
    from turnout_components.cluster_rights import RECORD, TRAFFIC, WORKLOADS, missing
    from turnout_components.items_cluster import make_namespace

    target, api = access.stack, access.cluster
    made = make_namespace(api, target.record_table)
    screen().line(f"namespace {target.record_table}: {_done(made)}")
    service = str(target.part("kubernetes", "namespace") or target.service)
    refused = [*missing(api, target.record_table, RECORD), *missing(api, service, (*WORKLOADS, *TRAFFIC))]
    for line in refused:
        screen().line(f"! you may not: {line}")
    if refused:
        screen().line("flips and rollbacks need these rights: docs/switch-on-kubernetes.md has the Roles")
    return {"namespace": target.record_table, "made": made, "stack": target.name, "missing": refused}


def _done(made: bool) -> str:
    return "made" if made else "exists already"
