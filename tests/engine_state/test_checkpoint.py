"""The state file: Pulumi's deployment-v3."""

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from tests.engine_state.conftest import PLANTED
from tests.engine_state.strategies import snapshots, urn
from turnout.engine import checkpoint, wire
from turnout.engine.checkpoint import CheckpointError
from turnout.engine.crypto import Secrets
from turnout.engine.state import PendingOperation, ResourceState, Snapshot
from turnout.engine.store import StackStore
from turnout.engine.values import Secret

NOW = datetime(2026, 1, 2, tzinfo=UTC)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(snapshot=snapshots())
def test_any_state_comes_back_as_it_was_parents_first(snapshot: Snapshot, secrets: Secrets) -> None:
    text = json.dumps(checkpoint.encode(snapshot, secrets, NOW))

    read = checkpoint.decode(json.loads(text), lambda salt: secrets, "x")

    assert len(read.resources) == len(snapshot.resources)
    assert {state.urn: state for state in read.resources} == {state.urn: state for state in snapshot.resources}
    positions = {state.urn: index for index, state in enumerate(read.resources)}
    for state in read.resources:
        assert all(positions[needed] < positions[state.urn] for needed in state.needs() if needed in positions)


def test_the_file_reads_as_pulumi_writes_it(secrets: Secrets) -> None:
    state = ResourceState(urn(1), "test:index:Thing", True, id="i-1", inputs={"password": Secret({"a": PLANTED})})
    pending = PendingOperation("create-replacement", "token-1", ResourceState(urn(2), "test:index:Thing", True))

    data = checkpoint.encode(Snapshot([state], [pending]), secrets, NOW)

    deployment = data["deployment"]
    manifest = deployment["manifest"]
    assert data["version"] == 3
    assert manifest["magic"] == hashlib.sha256(manifest["version"].encode()).hexdigest()
    assert manifest["time"] == "2026-01-02T00:00:00Z"
    assert deployment["secrets_providers"] == {"type": "passphrase", "state": {"salt": secrets.salt}}
    assert deployment["pending_operations"][0]["type"] == "creating"
    written = deployment["resources"][0]["inputs"]["password"]
    assert written["4dabf18193072939515e22adb298388d"] == "1b47061264138c4ac30d75fd1eb44270"
    assert json.loads(secrets.decrypt(written["ciphertext"])) == {"a": PLANTED}
    assert PLANTED not in json.dumps(data)


def test_a_secret_that_pulumi_exported_in_the_open_stays_a_secret(secrets: Secrets) -> None:
    shown = {wire.SIGNATURE_KEY: wire.SECRET_SIGNATURE, "plaintext": '"x"'}

    assert checkpoint.decode_value({"a": [shown]}, secrets) == {"a": [Secret("x")]}


def test_two_live_resources_of_one_urn_are_never_written(secrets: Secrets) -> None:
    twice = [ResourceState(urn(1), "t", True, id="a"), ResourceState(urn(1), "t", True, id="b")]

    with pytest.raises(CheckpointError, match="two resources have the URN .*thing-1"):
        checkpoint.encode(Snapshot(twice), secrets, NOW)


def _mutated(change: Callable[[dict[str, Any]], None]) -> Callable[[bytes], bytes]:
    def mutate(raw: bytes) -> bytes:
        data = json.loads(raw)
        change(data)
        return json.dumps(data).encode()

    return mutate


DAMAGE: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "empty": (lambda raw: b"", r"is empty; put the backup"),
    "cut": (lambda raw: raw[: len(raw) // 2], r"truncated or damaged .*backup"),
    "binary": (lambda raw: b"\x00\xff" * 40, r"truncated or damaged"),
    "other": (lambda raw: b"[1]", r"no Pulumi deployment"),
    "newer": (_mutated(lambda data: data.update(version=4)), r"version 4, newer than 3.*left as it is"),
    "magic": (_mutated(lambda data: data["deployment"]["manifest"].update(magic="0")), r"magic does not fit"),
    "shape": (_mutated(lambda data: data["deployment"].update(resources=[{"id": 1}])), r"damaged \(KeyError"),
    "twice": (_mutated(lambda data: data["deployment"]["resources"].append(data["deployment"]["resources"][0])), "twice"),
    "order": (_mutated(lambda data: data["deployment"]["resources"].reverse()), r"comes before"),
    "keeper": (_mutated(lambda data: data["deployment"]["secrets_providers"].update(type="cloud")), r"kept by 'cloud'"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_file_that_cannot_be_used_is_named_with_the_fix_and_left_as_it_is(kind: str, store: StackStore) -> None:
    child = ResourceState(urn(2), "t", True, parent=urn(1), inputs={"a": Secret(1)})
    store.save(Snapshot([ResourceState(urn(1), "t", False), child]))
    damage, message = DAMAGE[kind]
    store.checkpoint_path.write_bytes(damage(store.checkpoint_path.read_bytes()))
    before = store.checkpoint_path.read_bytes()

    with pytest.raises(CheckpointError, match=message) as caught:
        store.load()

    assert str(store.checkpoint_path) in str(caught.value)
    assert store.checkpoint_path.read_bytes() == before


def test_the_state_before_stays_beside_the_new_one(store: StackStore) -> None:
    store.save(Snapshot([ResourceState(urn(1), "t", False)]))
    first = store.checkpoint_path.read_bytes()
    store.save(Snapshot())

    assert store.checkpoint_path.with_name("checkpoint.json.bak").read_bytes() == first
    assert sorted(path.name for path in store.folder.iterdir()) == ["checkpoint.json", "checkpoint.json.bak"]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    checkpoint.write(path, {"good": 1})

    with pytest.raises(ValueError, match="JSON"):
        checkpoint.write(path, {"bad": float("nan")})

    assert json.loads(path.read_text()) == {"good": 1}
