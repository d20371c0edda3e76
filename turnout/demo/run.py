"""Runs the story and leaves nothing behind: no process, port or folder, whatever ends it."""

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType

from rich.console import Console

from turnout.access import ENDPOINT_VARIABLE, KUBECONFIG_VARIABLE
from turnout.cloud import client
from turnout.demo.home import DemoHome
from turnout.demo.models import Model
from turnout.demo.report import Report
from turnout.demo.story import Story
from turnout.demo.view import View
from turnout.interrupts import Interrupted
from turnout.stacks import EC2, EKS, KUBERNETES, Stack

SPEED = 5.0
"""How much faster than in AWS the local cloud's own waits pass (docs/local-cloud.md)."""


def run(model: Model, source: Stack, home: Path, console: Console) -> Report:
    """The demo of a model, in its local stack. `home` is the project's; the demo has a folder of its own in it.

    Raises `DemoRunning`, `DemoFailed`, `TrafficError`, `CloudError`, `Interrupted` (also for SIGTERM and SIGHUP)."""
    for variable in (ENDPOINT_VARIABLE, KUBECONFIG_VARIABLE):
        os.environ.pop(variable, None)
    with _ended_by_signals(), ExitStack() as stack:
        demo = DemoHome(home / "demo")
        stack.enter_context(_closed(demo))
        view = stack.enter_context(View(console, model.environment_of))
        if demo.cleaned:
            view.say(f"ended {demo.cleaned} processes that an earlier run had left")
        view.say(_STARTS[source.platform])
        images = [source.releases.parent]
        cloud = client.start(demo.folder, attached=True, speed=SPEED, images=images, root=source.root, program=_program(source))
        stack.callback(cloud.stop)
        return Story(model, source, demo, cloud, view).run()


_STARTS = {
    EC2: "starting the local cloud: AWS's API, a load balancer, and soon a process an instance",
    EKS: "starting the local cloud: AWS's API, and a real control plane beside it",
    KUBERNETES: "starting the local cluster: a real control plane, soon a process a pod",
}


def _program(source: Stack) -> tuple[str, ...]:
    """The local cloud's daemon, with a cluster where the stack has one."""
    return ("turnout.cloud",) if source.platform == EC2 else ("turnout.cluster", "--platform", source.platform)


@contextmanager
def _closed(demo: DemoHome) -> Iterator[None]:
    """Closes the demo's home at the end; logs are kept only where the story failed by itself."""
    try:
        yield
    except Exception:
        demo.close(keep=True)
        raise
    except BaseException:
        demo.close(keep=False)
        raise
    demo.close(keep=False)


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """SIGINT, SIGTERM and SIGHUP interrupt once; while what was started is being ended they are not heard."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 -- a signal handler's arguments
        for each in numbers:
            signal.signal(each, signal.SIG_IGN)
        raise Interrupted

    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
