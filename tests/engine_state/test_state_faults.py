"""Damaged, newer and foreign state, as commands meet it: one message that says what to do; the files stay."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pulumi.automation.errors import CommandError

from tests.engine_state.bench import PASSPHRASE, Project

BODY = """
a = Thing("a", secret=Output.secret("pl4nted-s3cret"), opts=on())
Thing("b", tags={"a": a.serial}, opts=on(depends_on=[a]))
"""
COMMANDS = (["up"], ["preview"], ["refresh"], ["destroy"], ["stack"], ["stack", "output"], ["stack", "export"])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project(tmp_path_factory.mktemp("whole"))
    project.program(BODY)
    project.stack().up()
    return project


def refusal(project: Project, *command: str) -> str:
    with pytest.raises(CommandError) as caught:
        project.run(*command, "--stack", "dev")
    said = str(caught.value)
    assert "code: 1\n" in said
    assert "Traceback" not in said
    assert len(said.splitlines()) < 15
    return said


def edited(change: Callable[[dict[str, Any]], None]) -> Callable[[bytes], bytes]:
    def damage(raw: bytes) -> bytes:
        data = json.loads(raw)
        change(data)
        return json.dumps(data).encode()

    return damage


CHECKPOINTS: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "truncated": (lambda raw: raw[: len(raw) // 2], "is truncated or damaged"),
    "empty": (lambda raw: b"", "is empty"),
    "of a newer version": (edited(lambda data: data.update(version=4)), "has version 4, newer than 3"),
    "edited": (edited(lambda data: data["deployment"].update(resources=[{"urn": 1}])), "is damaged"),
}


@pytest.mark.parametrize("kind", CHECKPOINTS)
def test_a_checkpoint_that_cannot_be_used_stops_every_command_and_stays_as_it_is(kind: str, whole: Project) -> None:
    damage, message = CHECKPOINTS[kind]
    path = whole.store_folder / "checkpoint.json"
    good = path.read_bytes()
    path.write_bytes(bad := damage(good))
    try:
        for command in COMMANDS:
            said = refusal(whole, *command)
            assert message in said
            assert str(path) in said
            assert path.read_bytes() == bad
        assert [row["name"] for row in json.loads(whole.run("stack", "ls", "--json").stdout)] == ["dev"]
    finally:
        path.write_bytes(good)
    assert whole.stack().up().summary.resource_changes == {"same": 4}


def journal_of(project: Project) -> bytes:
    """A journal that continues the checkpoint as it stands: one resource recorded again."""
    store = project.store_folder
    base = hashlib.sha256((store / "checkpoint.json").read_bytes()).hexdigest()
    last = json.loads((store / "checkpoint.json").read_text())["deployment"]["resources"][-1]
    lines = [{"journal": 1, "base": base}, {"record": last["urn"], "state": last}, {"record": last["urn"], "state": last}]
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


JOURNALS: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "garbage in the middle": (lambda raw: raw.replace(b'{"record"', b"\x00\xff{", 1), "journal.jsonl line 2 is damaged"),
    "another format": (
        lambda raw: raw.replace(b'"journal": 1', b'"journal": 9', 1),
        "no header of a journal this engine knows",
    ),
    "of another checkpoint": (lambda raw: raw.replace(b'"base": "', b'"base": "00', 1), "continues another checkpoint"),
}


@pytest.mark.parametrize("kind", JOURNALS)
def test_a_journal_that_cannot_be_used_stops_every_command_and_stays_as_it_is(kind: str, whole: Project) -> None:
    damage, message = JOURNALS[kind]
    path = whole.store_folder / "journal.jsonl"
    path.write_bytes(bad := damage(journal_of(whole)))
    try:
        for command in COMMANDS:
            assert message in refusal(whole, *command)
            assert path.read_bytes() == bad
    finally:
        path.unlink()
    assert whole.stack().up().summary.resource_changes == {"same": 4}


def test_a_journal_whose_last_line_a_kill_has_torn_is_taken_up(whole: Project) -> None:
    raw = journal_of(whole)
    (whole.store_folder / "journal.jsonl").write_bytes(raw[:-25])

    assert whole.stack().up().summary.resource_changes == {"same": 4}
    assert not (whole.store_folder / "journal.jsonl").exists()


def _without_a(data: dict[str, Any]) -> None:
    resources = data["deployment"]["resources"]
    data["deployment"]["resources"] = [each for each in resources if not each["urn"].endswith("::a")]


def _elsewhere(data: dict[str, Any]) -> None:
    data["deployment"] = json.loads(json.dumps(data["deployment"]).replace("urn:pulumi:dev::shop", "urn:pulumi:prod::shop"))


def _other_secret(data: dict[str, Any]) -> None:
    data["deployment"]["secrets_providers"] = {"type": "cloud", "state": {"url": "awskms://alias/x"}}


def _twice(data: dict[str, Any]) -> None:
    data["deployment"]["resources"].append(data["deployment"]["resources"][-1])


def _stolen(data: dict[str, Any]) -> None:
    text = json.dumps(data["deployment"])
    at = text.index('"ciphertext": "v1:') + 40
    data["deployment"] = json.loads(text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :])


IMPORTS: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "of another stack": (edited(_elsewhere), r"is of another stack: urn:pulumi:prod::shop.*; import an export of 'dev'"),
    "with a resource cut out": (edited(_without_a), r"damaged \(.*::b needs .*::a, which is not in it\); export the stack"),
    "with a resource twice": (edited(_twice), r"stands in it twice\); export the stack again"),
    "newer": (edited(lambda data: data.update(version=4)), r"has version 4, newer than 3"),
    "older": (edited(lambda data: data.update(version=2)), r"has version 2; export it again"),
    "truncated": (lambda raw: raw[: len(raw) // 2], r"is truncated or damaged \(no JSON\); export the stack again"),
    "no deployment": (lambda raw: b"{}", r"is no Pulumi deployment"),
    "of another secrets provider": (edited(_other_secret), r"secrets are kept by 'cloud'"),
    "with a secret changed": (edited(_stolen), r"a secret cannot be decrypted"),
}  # fmt: skip


@pytest.mark.parametrize("kind", IMPORTS)
def test_an_import_that_does_not_fit_is_refused_by_name_and_changes_nothing(kind: str, whole: Project, tmp_path: Path) -> None:
    damage, message = IMPORTS[kind]
    file = tmp_path / "export.json"
    whole.run("stack", "export", "--stack", "dev", "--file", str(file))
    file.write_bytes(damage(file.read_bytes()))
    before = (whole.store_folder / "checkpoint.json").read_bytes()

    with pytest.raises(CommandError, match=message) as caught:
        whole.run("stack", "import", "--stack", "dev", "--file", str(file))

    assert str(file) in str(caught.value)
    assert "code: 2\n" in str(caught.value)
    assert "Traceback" not in str(caught.value)
    assert (whole.store_folder / "checkpoint.json").read_bytes() == before


def test_an_export_is_encrypted_and_comes_back_as_it_was(whole: Project, tmp_path: Path) -> None:
    file = tmp_path / "export.json"
    whole.run("stack", "export", "--stack", "dev", "--file", str(file))
    assert "pl4nted" not in file.read_text()
    whole.run("stack", "import", "--stack", "dev", "--file", str(file))
    assert b"pl4nted" not in b"".join(path.read_bytes() for path in whole.store_folder.rglob("*") if path.is_file())
    assert whole.stack().up().summary.resource_changes == {"same": 4}
    wrong = {**PASSPHRASE, "PULUMI_CONFIG_PASSPHRASE": "wrong"}
    with pytest.raises(CommandError, match="incorrect passphrase"):
        whole.run("stack", "import", "--stack", "dev", "--file", str(file), env=wrong)
