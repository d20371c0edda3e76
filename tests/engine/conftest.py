"""A stack on disk, a program in a file, a cloud in a file."""

import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from memory import MemoryCloud, Thing

from turnout.engine.crypto import Secrets
from turnout.engine.deployment import Deployment, Result
from turnout.engine.program import LocalProgram
from turnout.engine.store import StackStore

PRELUDE = """
import pulumi
from pulumi import Input, Output, ResourceOptions

class Cloud(pulumi.ProviderResource):
    def __init__(self, name, opts=None, **props):
        super().__init__("test", name, props, opts)

class Thing(pulumi.CustomResource):
    def __init__(self, logical, opts=None, token="test:index:Thing", **props):
        super().__init__(token, logical, {"version": None, "serial": None, "name": None, **props}, opts)
    version: Output[int]
    serial: Output[str]
    name: Output[str]
    def __getattr__(self, attribute):
        raise AttributeError(attribute)

cloud = Cloud("cloud", region="here")
on = lambda **o: ResourceOptions(provider=cloud, **o)
"""


@dataclass
class Bench:
    """Runs programs against one stack; keeps the events of the last run."""

    folder: Path
    cloud: MemoryCloud
    events: list[dict[str, Any]] = field(default_factory=list)

    def store(self) -> StackStore:
        kept = self.folder / "salt"
        salt = kept.read_text() if kept.exists() else ""
        return StackStore(self.folder / "home", "proj", "dev", Secrets(salt, lambda: ["passphrase"], kept.write_text))

    def deployment(self, **options: Any) -> Deployment:
        self.events.clear()
        things = [Thing(self.cloud), Thing(self.cloud, "test:index:First", delete_first=True)]
        providers = {t.token: t for t in things}
        return Deployment(self.store(), providers, self.events.append, str(self.folder), **options)

    def program(self, body: str) -> LocalProgram:
        path = self.folder / "main.py"
        path.write_text(PRELUDE + textwrap.dedent(body))
        return LocalProgram(path, self.folder)

    def up(self, body: str, **options: Any) -> Result:
        return self.deployment(**options).up(self.program(body))

    def preview(self, body: str, **options: Any) -> Result:
        return self.deployment(**options).preview(self.program(body))

    def things(self) -> dict[str, dict[str, Any]]:
        """What is in the cloud, by the part of the name before the dash."""
        return {o["inputs"]["name"].split("-")[0]: o for o in self.cloud.objects().values()}

    def said(self, severity: str = "error") -> str:
        found = (e["diagnosticEvent"] for e in self.events if "diagnosticEvent" in e)
        return "".join(e["message"] for e in found if e["severity"].startswith(severity))


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, MemoryCloud(tmp_path / "cloud.json"))


@pytest.fixture
def make_bench(tmp_path: Path) -> Callable[[], Bench]:
    return lambda: Bench(tmp_path, MemoryCloud(tmp_path / "cloud.json"))
