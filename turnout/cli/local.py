"""`turnout local`: the local cloud of a project."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from turnout import stacks
from turnout.access import CloudUnreachable
from turnout.cli.errors import CommandFailed, Exit
from turnout.cli.session import Session, screen
from turnout.cloud import client
from turnout.cluster import binaries
from turnout.stacks import EC2, EKS, KUBERNETES

if TYPE_CHECKING:
    from rich.table import Table

_FOLLOW_EVERY = 0.3


def start(stack: str, images: Sequence[Path], speed: float, platform: str | None) -> None:
    """Starts the cloud, with a cluster where the platform has one; a cloud that runs already is left alone."""
    session = Session(stack)
    running = client.find(session.home)
    wanted = platform or session.stack.platform
    program = _program(wanted)
    if running is not None and (running.platform or EC2) != wanted:
        held = running.platform or EC2
        raise CommandFailed(Exit.REFUSED, f"a local cloud of platform {held} runs; end it with `turnout local stop` first")
    folders = [folder.resolve() for folder in images] or [session.stack.releases.parent]
    for folder in folders:
        if not folder.is_dir():
            raise CommandFailed(Exit.REFUSED, f"no folder {folder} for model-server images; name one with --images")
    if running is None:
        _forget_deployments(session.home)
    handle = running or client.start(
        session.home, attached=False, speed=speed, images=folders, root=session.root, program=program
    )
    out = screen()
    out.line(f"local cloud {'runs already' if running else 'started'}: {handle.endpoint}, pid {handle.pid}")
    if not running:
        out.line("its account is empty; next: turnout init, then turnout up")
    cluster = {"platform": handle.platform, "kubeconfig": str(handle.kubeconfig)} if handle.kubeconfig else {}
    if cluster:
        out.line(f"cluster: kubectl --kubeconfig {handle.kubeconfig} get pods -A")
    known = {"endpoint": handle.endpoint, "pid": handle.pid, "home": str(handle.home), "started": running is None}
    out.result(known | cluster)


def _program(platform: str) -> tuple[str, ...]:
    """The daemon's module and its own arguments. A cluster without its programs is refused before anything starts."""
    if platform == EC2:
        return ("turnout.cloud",)
    if platform not in (EKS, KUBERNETES):
        raise CommandFailed(Exit.REFUSED, f"there is no platform {platform}; write {EC2}, {EKS} or {KUBERNETES}")
    try:
        binaries.find()
    except binaries.NoBinariesError as error:
        raise CommandFailed(Exit.REFUSED, str(error)) from None
    return ("turnout.cluster", "--platform", platform)


def stop() -> None:
    """Stops the cloud; none is no error."""
    handle = client.find(_home())
    if handle is not None:
        handle.stop()
    out = screen()
    if handle is None:
        out.line("no local cloud runs")
    else:
        out.line("local cloud stopped; its account is gone: after the next start, turnout init and turnout up make it anew")
    out.result({"stopped": handle is not None})


def status() -> None:
    """Shows balancers, targets and servers."""
    handle = _running()
    state = handle.state()
    out = screen()
    out.result({"pid": handle.pid, **state})
    out.line(f"local cloud at {handle.endpoint}, pid {handle.pid}, in {handle.home}")
    out.show(_listeners(state))
    out.show(_instances(state))
    if "cluster" in state:
        cluster = state["cluster"]
        out.line(f"cluster of platform {cluster['platform']}, kubeconfig {cluster['kubeconfig']}")
        out.show(_gateways(cluster))
        out.show(_pods(cluster))


def logs(instance: str | None, follow: bool) -> None:
    """Prints a log and, with `follow`, what is added to it."""
    file = log_file(_home(), instance)
    if screen().as_json:
        screen().result({"file": str(file), "lines": file.read_text(errors="replace").splitlines()})
        return
    for text in read(file, follow):
        print(text, end="", flush=True)


def log_file(home: Path, instance: str | None) -> Path:
    """The log of the cloud, or of the one instance whose id, or pod whose name, contains `instance`.

    Raises `CommandFailed` when there is none, or more than one."""
    folder = home / "cloud"
    if instance is None:
        found = [folder / "daemon.log"]
    else:
        found = [path for path in _server_logs(folder) if instance in path.parent.name]
    found = [path for path in found if path.is_file()]
    if len(found) == 1:
        return found[0]
    known = ", ".join(path.parent.name for path in _server_logs(folder)) or "none"
    which = f"instance {instance}" if instance else "the local cloud"
    many = f"more than one log fits {instance}" if found else f"no log of {which} in {folder}"
    raise CommandFailed(Exit.REFUSED, f"{many}; instances with a log: {known}")


def _server_logs(folder: Path) -> list[Path]:
    return sorted(path for kind in ("instances", "pods") for path in (folder / kind).glob("*/server.log"))


def read(file: Path, follow: bool) -> Iterator[str]:
    """The file's text in pieces; with `follow` without end."""
    with file.open(errors="replace") as log:
        while True:
            text = log.read()
            if text:
                yield text
            elif not follow:
                return
            else:
                time.sleep(_FOLLOW_EVERY)


def _forget_deployments(home: Path) -> None:
    """Drops what the local engine knows of its stacks: it stood in the account of a cloud that is gone."""
    for pattern in ("checkpoint.json*", "journal.jsonl"):
        for file in (home / "stacks").glob(f"*/*/{pattern}"):
            file.unlink()


def _home() -> Path:
    return stacks.home_of(stacks.find_root(Path.cwd()))


def _running() -> client.CloudHandle:
    home = _home()
    handle = client.find(home)
    if handle is None:
        raise CloudUnreachable(f"no local cloud runs in {home}; start it with `turnout local start`")
    return handle


def _listeners(state: dict[str, Any]) -> "Table":
    from rich.table import Table

    names = {group["arn"]: group["name"] for group in state["target_groups"]}
    table = Table(title="listeners", title_justify="left")
    for column in ("load balancer", "url", "weights"):
        table.add_column(column)
    for balancer in state["load_balancers"]:
        for listener in balancer["listeners"]:
            weights = ", ".join(f"{names.get(arn, arn)} {weight}" for arn, weight in listener["weights"].items())
            table.add_row(balancer["name"], listener["url"] or "not carried", weights or "by rules")
    return table


def _gateways(cluster: dict[str, Any]) -> "Table":
    from rich.table import Table

    table = Table(title="gateways", title_justify="left")
    for column in ("gateway", "listener", "url"):
        table.add_column(column)
    for gateway in cluster["gateways"]:
        for listener in gateway["listeners"]:
            name = f"{gateway['namespace']}/{gateway['name']}"
            table.add_row(name, listener["name"], listener["url"] or "not served")
    return table


def _pods(cluster: dict[str, Any]) -> "Table":
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(title="pods", title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in ("pod", "address", "node", "port", "phase", "restarts"):
        table.add_column(column, overflow="fold")
    for pod in cluster["pods"]:
        phase = f"{pod['phase']}: {pod['reason']}" if pod["reason"] else pod["phase"]
        row = (f"{pod['namespace']}/{pod['name']}", pod["ip"] or "–", pod["node"], pod["url"].rpartition(":")[2], phase)
        table.add_row(*row, str(pod["restarts"]))
    return table


def _instances(state: dict[str, Any]) -> "Table":
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    health = {t["id"]: f"{t['state']} {t['reason'] or ''}".strip() for g in state["target_groups"] for t in g["targets"]}
    table = Table(title="instances", title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in ("id", "group", "port", "phase", "target"):
        table.add_column(column, overflow="fold")
    for instance in state["instances"]:
        port = (instance["url"] or "–").rpartition(":")[2]
        row = (instance["id"], instance["group"], port, instance["phase"], health.get(instance["id"], "–"))
        table.add_row(*(str(cell) for cell in row))
    return table
