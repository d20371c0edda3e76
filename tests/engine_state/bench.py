"""A project on disk and the Automation API's stacks on the local engine, with a cloud that is a file."""

import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pulumi import automation as auto

from tests.engine.conftest import PRELUDE
from tests.engine.memory import MemoryCloud, Thing
from turnout.engine.command import LocalEngineCommand

PASSPHRASE = {"PULUMI_CONFIG_PASSPHRASE": "correct horse"}


class Project:
    """One project folder with stack files in `stacks/`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.cloud = MemoryCloud(folder / "cloud.json")
        (folder / "Pulumi.yaml").write_text("name: shop\nruntime: python\nmain: program\nstackConfigDir: stacks\n")
        self.program("")

    @property
    def command(self) -> LocalEngineCommand:
        return LocalEngineCommand(self.home, {"test:index:Thing": Thing(self.cloud)})

    @property
    def store_folder(self) -> Path:
        return self.home / "stacks" / "shop" / "dev"

    def program(self, body: str) -> None:
        """Writes the local program."""
        (self.folder / "program").mkdir(exist_ok=True)
        (self.folder / "program" / "__main__.py").write_text(PRELUDE + textwrap.dedent(body))

    def files(self) -> list[Path]:
        """All but the program's own, of which Python keeps bytecode."""
        return [path for path in self.folder.rglob("*") if path.is_file() and not path.is_relative_to(self.folder / "program")]

    def options(self, env: Mapping[str, str]) -> auto.LocalWorkspaceOptions:
        return auto.LocalWorkspaceOptions(pulumi_command=self.command, env_vars={**PASSPHRASE, **env})

    def stack(self, name: str = "dev", env: Mapping[str, str] | None = None) -> auto.Stack:
        """The stack of the local program."""
        return auto.create_or_select_stack(name, work_dir=str(self.folder), opts=self.options(env or {}))

    def inline(self, program: Callable[[], None]) -> auto.Stack:
        """A stack whose program is a function of the test."""
        options = self.options({})
        options.work_dir = str(self.folder)
        return auto.create_or_select_stack("dev", project_name="shop", program=program, opts=options)

    def run(self, *args: str, env: Mapping[str, str] | None = None) -> Any:
        """A command line; the result, whether it failed or not raises as the Automation API does."""
        return self.command.run(list(args), str(self.folder), {**PASSPHRASE, **(env or {})})
