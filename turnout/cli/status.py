"""`turnout status`: the switch on one screen, from the record and from what is live."""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from turnout_components.gate import observe
from turnout_components.live import Group, LiveCloud, ready_targets, utc_now, way_back
from turnout_components.standby import Keep
from turnout_components.switch_record import EnvironmentState, SwitchRecord

from turnout.cli.session import Session, screen
from turnout.stacks import Stack

if TYPE_CHECKING:
    from rich.table import Table

NOTHING = "nothing is deployed; run `turnout up`"


def show(stack: str) -> None:
    """Prints the status; a stack that is not deployed is no error."""
    session = Session(stack)
    access = session.access()
    found = gather(session.stack, access.store.read(), access.live, utc_now())
    out = screen()
    out.result(found)
    if not out.as_json:
        if found["environments"]:
            out.show(_table(found))
        for line in notes(found):
            out.line(line)


def gather(stack: Stack, record: SwitchRecord | None, cloud: LiveCloud, now: datetime) -> dict[str, Any]:
    """The document of `turnout status --json` (docs/cli.md)."""
    document: dict[str, Any] = {"stack": stack.name, "service": stack.service, "cloud": stack.cloud}
    document["config_active"] = stack.active
    if record is None or record.traffic is None:
        return {**document, "deployed": False, "active": None, "environments": [], "unstable": _unstable(record)}
    live = observe(cloud, record)
    environments = [
        _environment(name, state, record, live.weights, cloud) for name, state in sorted(record.environments.items())
    ]
    floors = {name: floor for name, floor in record.floors.items() if floor.until is None or floor.until > now}
    return {
        **document,
        "deployed": live.weights is not None,
        "active": record.traffic.active,
        "agrees": live.weights == record.traffic.weights,
        "flipped_at": record.flipped_at,
        "environments": environments,
        "moving": _claim(record, live.claimant_gone, now),
        "retained": _retained(record, live.weights, cloud),
        "floors": {name: floor.model_dump(mode="json") for name, floor in floors.items()},
        "unstable": _unstable(record),
    }


def notes(found: Mapping[str, Any]) -> list[str]:
    """The lines below the table."""
    if not found["deployed"]:
        return [NOTHING, *_unstable_notes(found)]
    lines = []
    if not found["agrees"]:
        lines.append("! the load balancer's weights are not the recorded ones: a move is under way, or the next up settles it")
    moving = found["moving"]
    if moving:
        held = f"claim holds {moving['seconds_left']} s more"
        state = "its process is gone: the next command takes over" if moving["gone"] else held
        lines.append(f"moving: {moving['from']} → {moving['to']} by {moving['by']} ({state})")
    kept = found["retained"]
    if kept:
        until = f" until {_minute(kept['until'])}" if kept["until"] else ""
        warm = f", {kept['warm']} in the warm pool" if kept["warm"] else ""
        serve = f"{kept['level']}, {kept['ready']} of {kept['minimum']} instances serve{warm}"
        lines.append(f"kept for rollback: {kept['environment']} with {_name(kept['release'])}{until}")
        lines.append(f"  {serve}; it can take all traffic {kept['way_back']}")
    for name, floor in found["floors"].items():
        until = f" until {_minute(floor['until'])}" if floor["until"] else ""
        lines.append(f"floor: {name} stays at {floor['minimum']} or more{until}")
    if found["config_active"] != found["active"]:
        active = found["active"]
        lines.append(f"config says {found['config_active']}, traffic is at {active}: commit turnout:traffic.active: {active}")
    return lines + _unstable_notes(found)


def _retained(record: SwitchRecord, weights: Mapping[str, int] | None, cloud: LiveCloud) -> dict[str, Any] | None:
    """The standby that waits for a rollback, what is left of it, and how long it takes to come back; None once it serves, and
    without a listener."""
    kept = record.retained
    state = record.environments.get(kept.environment) if kept else None
    if weights is None or kept is None or state is None or state.group is None or weights.get(kept.environment, 0) > 0:
        return None
    ready = ready_targets(cloud, state.target_group, state.group)[0]
    group = cloud.group(state.group)
    level = Keep.COLD if group is None or group.maximum == 0 else Keep.WARM if group.minimum < kept.size else Keep.FULL
    return {
        **kept.model_dump(mode="json"),
        "level": level.value,
        "ready": ready,
        "warm": cloud.warm(state.group) if group else 0,
        "way_back": way_back(cloud, state.group if group else None, kept.minimum - ready) if group else "after an up",
    }


def _environment(
    name: str, state: EnvironmentState, record: SwitchRecord, live: Mapping[str, int] | None, cloud: LiveCloud
) -> dict[str, Any]:
    """Without a listener the record's weights are of the past, and not shown."""
    assert record.traffic is not None
    group = cloud.group(state.group) if state.group else None
    states: dict[str, int] = {}
    for target in cloud.targets(state.target_group) if live is not None else []:
        states[target.state] = states.get(target.state, 0) + 1
    return {
        "name": name,
        "active": name == record.traffic.active,
        "release": state.release,
        "weight_recorded": record.traffic.weights.get(name) if live is not None else None,
        "weight_live": live.get(name) if live is not None else None,
        "targets": states,
        "instances": _sizes(group) if group else None,
    }


def _sizes(group: Group) -> dict[str, int]:
    return {"minimum": group.minimum, "in_service": len(group.in_service), "maximum": group.maximum}


def _claim(record: SwitchRecord, gone: bool, now: datetime) -> dict[str, Any] | None:
    claim = record.claim
    if claim is None:
        return None
    left = max(0, round((claim.expires - now).total_seconds()))
    move = {"by": str(claim.by), "from": str(record.traffic), "to": str(claim.to), "since": claim.began}
    return {**move, "seconds_left": left, "gone": gone}


def _unstable(record: SwitchRecord | None) -> list[dict[str, Any]]:
    return [mark.model_dump(mode="json") for mark in record.unstable.values()] if record else []


def _unstable_notes(found: Mapping[str, Any]) -> list[str]:
    return [f"unstable: {_name(m['release'])} since {_minute(m['at'])} by {m['by']}: {m['reason']}" for m in found["unstable"]]


def _table(found: Mapping[str, Any]) -> "Table":
    from rich.table import Table

    table = Table(title=f"{found['service']} in stack {found['stack']} ({found['cloud']})", title_justify="left")
    for column in ("environment", "release", "weight", "live", "targets", "in service (min–max)"):
        table.add_column(column, justify="right" if column in ("weight", "live") else "left")
    for row in found["environments"]:
        table.add_row(
            f"[bold green]{row['name']} ●[/]" if row["active"] else row["name"],
            _name(row["release"]),
            _percent(row["weight_recorded"]),
            _percent(row["weight_live"]),
            ", ".join(f"{count} {state}" for state, count in sorted(row["targets"].items())) or "–",
            _instances(row["instances"]),
        )
    return table


def _instances(sizes: Mapping[str, int] | None) -> str:
    return f"{sizes['in_service']} ({sizes['minimum']}–{sizes['maximum']})" if sizes else "–"


def _percent(weight: int | None) -> str:
    return "–" if weight is None else f"{weight} %"


def _name(release: str | None) -> str:
    return release.partition(":")[0].removesuffix("@sha256") + " " + release.partition(":")[2][:8] if release else "–"


def _minute(moment: Any) -> str:
    return (moment if isinstance(moment, datetime) else datetime.fromisoformat(moment)).strftime("%Y-%m-%d %H:%M UTC")
