"""The mirror's program with the kernel's own firewall, in a network namespace: what users get as it comes and goes."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parent
ABLE = (
    os.geteuid() == 0
    and bool(shutil.which("nft"))
    and subprocess.run(["unshare", "--net", "true"], check=False).returncode == 0
)
pytestmark = [pytest.mark.skipif(not ABLE, reason="install nftables, and be root"), pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def happened(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    command = ["unshare", "--net", sys.executable, "namespace.py", str(tmp_path_factory.mktemp("namespace"))]
    done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr[-5000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_users_lose_nothing_while_a_mirror_comes_changes_and_goes(happened: dict[str, Any]) -> None:
    """Half of the users take a connection for each request, half keep theirs: those in Envoy are closed by its answers."""
    found = happened["in_and_out"]
    parts = ("up", "changed", "still", "down", "alone")
    assert {part: found[part]["broken"] for part in parts} == {part: {} for part in parts}
    assert found["copies"] > 0
    assert found["through"] == 0, "all are back at the server's own port, by Docker's rule"
    print({part: found[part]["asked"] for part in parts})


def test_without_the_program_connections_go_to_the_server_again_and_nothing_is_lost(happened: dict[str, Any]) -> None:
    assert {part: found["broken"] for part, found in happened["program_stops"].items()} == {"direct": {}, "again": {}}


def test_a_killed_envoy_costs_what_is_under_way_in_it_and_no_more(happened: dict[str, Any]) -> None:
    killed, again = (happened["envoy_dies"][part] for part in ("killed", "again"))
    print(killed)
    assert sum(killed["broken"].values()) < 200, "until the program is woken by Envoy's end"
    assert again["broken"] == {}


def test_envoy_cannot_ask_the_metadata_service_for_the_role_s_keys(happened: dict[str, Any]) -> None:
    refused = 7
    assert happened["metadata_service"] == {"0": 0, "65532": refused}
