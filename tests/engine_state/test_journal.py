"""Journal and store: what survives a crash."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.engine_state.conftest import PLANTED
from tests.engine_state.strategies import resources, urn
from turnout.engine import checkpoint
from turnout.engine.checkpoint import CheckpointError
from turnout.engine.journal import Journal, recover
from turnout.engine.lock import StackLocked
from turnout.engine.state import ResourceState, Snapshot
from turnout.engine.store import StackStore, stacks
from turnout.engine.values import Secret


def thing(number: int, id: str = "", **more: object) -> ResourceState:
    return ResourceState(urn(number), "test:index:Thing", True, id=id, **more)  # type: ignore[arg-type]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(data=st.data(), count=st.integers(1, 4))
def test_what_was_reported_done_is_read_back_and_the_rest_is_pending(
    data: st.DataObject, count: int, store: StackStore
) -> None:
    store.save(Snapshot())
    expected: dict[str, ResourceState] = {}
    open_tokens: list[str] = []
    with store.journal() as journal:
        for number in range(count):
            state = data.draw(resources(number))
            journal.begin("create", state.urn, f"token-{number}", state)
            match data.draw(st.sampled_from(["done", "failed", "cut off", "deleted"])):
                case "done":
                    journal.done(state.urn, f"token-{number}", state)
                    expected[state.urn] = state
                case "failed":
                    journal.failed(state.urn, f"token-{number}")
                case "deleted":
                    journal.done(state.urn, f"token-{number}", state)
                    journal.begin("delete", state.urn, f"delete-{number}", state)
                    journal.done(state.urn, f"delete-{number}", None)
                case _:
                    open_tokens.append(f"token-{number}")

    for _ in range(2):  # the second time from the checkpoint into which it was merged
        found = store.load()
        assert {state.urn: state for state in found.resources} == expected
        assert [operation.token for operation in found.pending] == open_tokens
        store.save(found)
        assert not store.journal_path.exists()


def test_a_replacement_leaves_the_old_resource_to_be_deleted(store: StackStore) -> None:
    store.save(Snapshot([thing(1, "old"), thing(2, "x", dependencies=[urn(1)])]))
    with store.journal() as journal:
        journal.begin("create-replacement", urn(1), "t1", thing(1))
        journal.done(urn(1), "t1", thing(1, "new"))

    between = store.load()
    assert [(state.id, state.delete) for state in between.resources] == [("old", True), ("x", False), ("new", False)]
    store.save(between)
    assert [state.id for state in store.load().resources if state.urn == urn(1) and not state.delete] == ["new"]

    with store.journal() as journal:
        journal.begin("delete-replaced", urn(1), "t2", next(between.doomed()))
        journal.done(urn(1), "t2", None)
    assert [state.id for state in store.load().resources] == ["new", "x"]


def test_components_leave_and_names_change_without_a_call(store: StackStore) -> None:
    store.save(Snapshot([thing(1, "a"), thing(2, "b", parent=urn(1), provider=f"{urn(1)}::a")]))
    with store.journal() as journal:
        journal.rename(urn(1), urn(9))
        journal.record(thing(3))
        journal.forget(thing(3))

    first, second = store.load().resources
    assert (first.urn, second.parent, second.provider) == (urn(9), urn(9), f"{urn(9)}::a")


def test_a_last_line_that_a_crash_cut_off_is_as_if_it_were_not_there(store: StackStore) -> None:
    with store.journal() as journal:
        journal.begin("create", urn(1), "t1", thing(1))
        journal.done(urn(1), "t1", thing(1, "made"))
    raw = store.journal_path.read_bytes()
    last_line = raw.rstrip(b"\n").rfind(b"\n") + 1

    for cut in range(last_line, len(raw)):
        store.journal_path.write_bytes(raw[:cut])
        found = store.load()
        assert (found.resources, [operation.token for operation in found.pending]) == ([], ["t1"])
    with store.journal() as journal:
        journal.done(urn(1), "t1", thing(1, "adopted"))
    assert [state.id for state in store.load().resources] == ["adopted"]


@pytest.mark.parametrize("damage", [b"{{{", b"[]", b'{"done":"nobody began it","state":null}', b'{"strange":1}'])
def test_a_damaged_line_in_the_middle_is_an_error_that_names_it(damage: bytes, store: StackStore) -> None:
    with store.journal() as journal:
        journal.begin("create", urn(1), "t1", thing(1))
        journal.record(thing(2))
    lines = store.journal_path.read_bytes().split(b"\n")
    lines[1] = damage
    store.journal_path.write_bytes(b"\n".join(lines))

    with pytest.raises(CheckpointError, match=r"journal.jsonl line 2 is damaged .*the lines before it are good"):
        store.load()
    assert store.journal_path.read_bytes() == b"\n".join(lines)


def test_the_intent_is_on_disk_when_begin_returns(store: StackStore) -> None:
    with store.journal() as journal:
        journal.begin("create", urn(1), "t1", thing(1))
        assert [operation.token for operation in store.load().pending] == ["t1"]


@pytest.mark.parametrize("point", ["backup", "checkpoint", "journal removed"])
def test_a_save_that_is_killed_at_any_point_loses_and_repeats_nothing(
    point: str, store: StackStore, make_store: Callable[[], StackStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    store.save(Snapshot([thing(1, "old")]))
    with store.journal() as journal:
        journal.begin("create-replacement", urn(1), "t1", thing(1))
        journal.done(urn(1), "t1", thing(1, "new"))
    wanted = store.load()

    for _ in range(2):  # killed twice in a row
        _die_after(point, monkeypatch)
        with pytest.raises(KeyboardInterrupt):
            store.save(store.load())
        monkeypatch.undo()
        found = make_store().load()
        assert sorted((state.id, state.delete) for state in found.resources) == [("new", False), ("old", True)]
        assert len(found.resources) == len(wanted.resources)


def _die_after(point: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real_replace, real_unlink = checkpoint.replace_file, Path.unlink

    def replace_file(path: Path, raw: bytes) -> None:
        real_replace(path, raw)
        if point == ("backup" if path.suffix == ".bak" else "checkpoint"):
            raise KeyboardInterrupt

    def unlink(path: Path, missing_ok: bool = False) -> None:
        real_unlink(path, missing_ok)
        if point == "journal removed":
            raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint, "replace_file", replace_file)
    monkeypatch.setattr(Path, "unlink", unlink)


def test_a_journal_of_another_checkpoint_is_not_applied(store: StackStore) -> None:
    with store.journal() as journal:
        journal.record(thing(1))
    kept = store.journal_path.read_bytes()
    store.save(Snapshot([thing(5)]))
    store.save(Snapshot([thing(6)]))
    store.journal_path.write_bytes(kept)

    with pytest.raises(CheckpointError, match="continues another checkpoint"):
        store.load()


def test_a_planted_secret_is_in_no_file(store: StackStore) -> None:
    state = thing(1, "a", inputs={"p": Secret(PLANTED)}, outputs={"q": [Secret({"deep": PLANTED})]})
    with store.journal() as journal:
        journal.begin("create", state.urn, "t1", state)
        journal.done(state.urn, "t1", state)
    assert PLANTED.encode() not in b"".join(path.read_bytes() for path in store.folder.rglob("*") if path.is_file())
    found = store.load()
    store.save(found)

    assert PLANTED.encode() not in b"".join(path.read_bytes() for path in store.folder.rglob("*") if path.is_file())
    assert found.resources[0].inputs["p"] == Secret(PLANTED)


def test_files_are_readable_by_their_owner_only(store: StackStore) -> None:
    store.journal().close()

    assert {path.stat().st_mode & 0o077 for path in store.folder.rglob("*") if path.is_file()} == {0}


def test_a_second_update_is_told_who_holds_the_stack_and_since_when(
    store: StackStore, make_store: Callable[[], StackStore]
) -> None:
    with store.lock():
        told = rf"currently locked by .+@.+ \(pid {os.getpid()}\) since \d{{4}}-"
        with pytest.raises(StackLocked, match=told), make_store().lock():
            pass
        assert (store.holder() or {})["pid"] == os.getpid()
    assert store.holder() is None
    with make_store().lock():
        pass


def test_a_dead_holders_lock_is_taken_over(store: StackStore) -> None:
    program = (
        "import sys, os; from pathlib import Path; from turnout.engine.store import StackStore\n"
        "from turnout.engine.crypto import Secrets\n"
        "s = StackStore(Path(sys.argv[1]), 'shop', 'dev', Secrets('', lambda: []))\n"
        "l = s.lock(); l.__enter__(); print('held', flush=True); sys.stdin.read()\n"
    )
    home = str(store.folder.parents[2])
    with subprocess.Popen(
        [sys.executable, "-c", program, home], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(StackLocked, match=f"pid {process.pid}"), store.lock():
            pass
        process.kill()
        process.wait()
        with store.lock():
            assert (store.holder() or {})["pid"] == os.getpid()


def test_history_is_read_newest_first(store: StackStore) -> None:
    assert [store.add_history({"kind": kind}) for kind in ("update", "refresh", "destroy")] == [1, 2, 3]

    assert [(entry["version"], entry["kind"]) for entry in store.history()] == [(3, "destroy"), (2, "refresh"), (1, "update")]
    assert json.loads((store.folder / "history" / "000001.json").read_text())["kind"] == "update"


def test_a_removed_stack_is_gone_even_while_it_is_held(store: StackStore, make_store: Callable[[], StackStore]) -> None:
    assert stacks(store.folder.parents[2], "shop") == ["dev"]
    with store.lock():
        store.remove()
    assert stacks(store.folder.parents[2], "shop") == []
    assert not store.exists()
    with make_store().lock():
        pass


def test_a_journal_that_was_only_just_made_is_empty(store: StackStore) -> None:
    store.save(Snapshot([thing(1, "a")]))
    store.journal_path.write_bytes(b"")

    assert [state.id for state in store.load().resources] == ["a"]


def test_a_lost_checkpoint_with_a_backup_is_not_taken_for_an_empty_stack(store: StackStore) -> None:
    store.save(Snapshot([thing(1, "a")]))
    store.checkpoint_path.unlink()

    with pytest.raises(CheckpointError, match="rename the backup"):
        store.load()


def test_recovering_leaves_the_snapshot_that_was_given_alone(store: StackStore, tmp_path: Path) -> None:
    given_one = Snapshot([thing(1, "old")])
    with Journal(tmp_path / "j", "base", store.secrets) as journal:
        journal.begin("create-replacement", urn(1), "t", thing(1))
        journal.done(urn(1), "t", thing(1, "new"))

    recover(tmp_path / "j", given_one, store.secrets)

    assert [(state.id, state.delete) for state in given_one.resources] == [("old", False)]
