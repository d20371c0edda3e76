"""A secret that a stack holds stays where it belongs: it is planted, and everything that is written or shown is searched."""

import os
import sys
from pathlib import Path

import psutil
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from test_kills import up_killed_at

from tests.e2e.prepared_service import prepared_service

PLANTED = "pl4nted-hunter2"
PROGRAM = """
import pulumi
from pulumi_aws import ec2
from turnout_components.network import Network

from infra import on_ec2
from infra.settings import load

networks = []
on_ec2.Network = lambda *args: networks.append((Network(*args), args[-1])) or networks[-1][0]
on_ec2.program(load())
((network, options),) = networks
token = pulumi.Config("vault").require_secret("token")
ec2.SecurityGroup("extra", vpc_id=network.vpc_id, description="holds a secret", tags={"token": token}, opts=options)
pulumi.export("token", token)
"""


class Watcher:
    """Notes what every process below this one is called with, each time that something happens."""

    def __init__(self) -> None:
        self.seen: set[str] = set()

    def __call__(self, _event: object) -> None:
        for process in psutil.Process().children(recursive=True):
            try:
                self.seen |= {*process.cmdline(), *process.environ().values()}
            except psutil.Error:
                continue


def traces(folder: Path) -> list[str]:
    """Files that hold the secret."""
    files = [Path(place) / name for place, _, names in os.walk(folder) for name in names]
    return [str(file.relative_to(folder)) for file in files if PLANTED.encode() in file.read_bytes()]


@pytest.mark.usefixtures("started_programs")
def test_a_secret_is_in_no_file_event_argument_or_environment(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "program"
    folder.mkdir()
    (folder / "__main__.py").write_text(PROGRAM)
    watcher = Watcher()
    with prepared_service(tmp_path / "home", speed=20.0, pool={"minimum": 1}) as stack:
        stack.program, stack.secrets, stack.hear = folder, {"vault:token": PLANTED}, watcher
        assert up_killed_at(stack, 20, "after") == -9
        journal = stack.state().journal_path.read_text()
        assert journal.count("\n") > 20
        assert traces(stack.home) == []
        result = stack.up()
        assert result.exit_code == 0, stack.said()
        assert PLANTED in str(stack.api("ec2").describe_security_groups()), "the cloud was given it"
        assert PLANTED not in repr(result)
        assert PLANTED not in repr(stack.events)
        assert stack.up().changes.keys() == {"same"}
        assert traces(stack.home) == []
        assert any("turnout.engine.launch" in one for one in watcher.seen)
        assert not [one for one in watcher.seen if PLANTED in one]
        assert stack.destroy().exit_code == 0, stack.said()
        assert traces(stack.home) == []
    assert PLANTED not in "".join(capfd.readouterr())
