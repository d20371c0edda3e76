"""A Pulumi program of Kubernetes objects on the local engine, against whatever API server a kubeconfig names."""

import os
import subprocess
import sys
import textwrap
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from turnout.engine.crypto import Secrets
from turnout.engine.deployment import Deployment, Result
from turnout.engine.program import LocalProgram
from turnout.engine.store import StackStore
from turnout.providers import registry

ROOT = Path(__file__).parents[2]
PRELUDE = """
import os
import pulumi

class Provider(pulumi.ProviderResource):
    def __init__(self, name, opts=None, **inputs):
        super().__init__("kubernetes", name, inputs, opts)

class Object(pulumi.CustomResource):
    metadata: pulumi.Output[dict]
    def __init__(self, token, name, opts=None, **inputs):
        version, kind = token.removeprefix("core/").split(":")
        inputs = {"metadata": None, "apiVersion": version, "kind": kind, **inputs}
        super().__init__(f"kubernetes:{token}", name, inputs, opts)

provider = Provider("cluster", kubeconfig=os.environ["TEST_KUBECONFIG"], namespace=os.environ["TEST_NAMESPACE"])
on = lambda **more: pulumi.ResourceOptions(provider=provider, **more)
"""
"""Pulumi's own classes of these objects say the same to the engine, and take seconds to import."""
PACKAGE = """
import pulumi_kubernetes as k8s
"""
_KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {root!r})
from tests.providers.kubernetes_program import Project
from turnout.providers.kubernetes.cluster import Cluster

calls, usual = [], Cluster.call

def deadly(self, method, path, subject, **more):
    change = method != "GET"
    if change and {point!r} == f"before:{{len(calls) + 1}}":
        os.kill(os.getpid(), signal.SIGKILL)
    answer = usual(self, method, path, subject, **more)
    calls.extend([method] if change else [])
    if change and {point!r} == f"after:{{len(calls)}}":
        os.kill(os.getpid(), signal.SIGKILL)
    return answer

Cluster.call = deadly
Project(Path({folder!r}), {kubeconfig!r}, {namespace!r}).up({body!r})
"""


@dataclass
class Project:
    """One stack. `events` are those of the last run."""

    folder: Path
    kubeconfig: str
    namespace: str
    events: list[dict[str, Any]] = field(default_factory=list)

    def up(self, body: str, **options: Any) -> Result:
        return self._deployment(options).up(self._program(body))

    def preview(self, body: str, **options: Any) -> Result:
        return self._deployment(options).preview(self._program(body))

    def refresh(self) -> Result:
        return self._deployment({}).refresh()

    def destroy(self) -> Result:
        return self._deployment({}).destroy()

    def killed(self, body: str, point: str) -> int:
        """An `up` in a process of its own, which dies before or after its nth call that changes something (`after:2`)."""
        script = _KILLED.format(
            root=str(ROOT),
            folder=str(self.folder),
            kubeconfig=self.kubeconfig,
            namespace=self.namespace,
            body=body,
            point=point,
        )
        return subprocess.run([sys.executable, "-c", script], timeout=120, check=False, cwd=ROOT).returncode

    def store(self) -> StackStore:
        kept = self.folder / "salt"
        salt = kept.read_text() if kept.exists() else ""
        return StackStore(self.folder / "home", "proj", "dev", Secrets(salt, lambda: ["passphrase"], kept.write_text))

    def said(self, severity: str = "error") -> str:
        found = (event["diagnosticEvent"] for event in self.events if "diagnosticEvent" in event)
        return "".join(each["message"] for each in found if each["severity"].startswith(severity))

    def steps(self, operation: str) -> list[dict[str, Any]]:
        """What was done of one operation."""
        found = (event["resOutputsEvent"]["metadata"] for event in self.events if "resOutputsEvent" in event)
        return [each for each in found if each["op"] == operation]

    def _deployment(self, options: dict[str, Any]) -> Deployment:
        self.events.clear()
        return Deployment(self.store(), registry(), self.events.append, str(self.folder), **options)

    def _program(self, body: str) -> LocalProgram:
        path = self.folder / "main.py"
        path.write_text(PRELUDE + textwrap.dedent(body))
        given = {"TEST_KUBECONFIG": self.kubeconfig, "TEST_NAMESPACE": self.namespace}
        return LocalProgram(path, self.folder, {**os.environ, **given})
