"""The mirror's files on a node are those of the local cloud, made by the same modules as user data ships them."""

import ast
import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from machine import MIRROR_IMAGE, Machine
from turnout_components import mirror_node, node_scripts
from turnout_components.mirror import Mirror, faults, files

from turnout.cloud import processes
from turnout.cloud.mirrors import Mirrors
from turnout.cloud.ports import Ports
from turnout.cloud.processes import Registry

MIRROR = Mirror(12.5, (("10.0.1.5", 8000), ("10.0.2.6", 8000)), "/v1/chat", 3)
MODULES = ("fault", "mirror", "mirror_node")


def text(mirror: Mirror) -> str:
    return json.dumps(mirror.for_storage())


def envoys(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in ("rds.json", "cds.json")}


@pytest.fixture
def on_the_node(machine: Machine) -> Path:
    """The folder that the shipped program wrote, run as the node's own script runs it."""
    machine.install(machine.release(), mirror={"image": MIRROR_IMAGE, "port": 1, "admin": 2})
    folder = machine.run_folder / "mirror"
    environment = {"PYTHONPATH": str(machine.root / "usr/local/lib/turnout"), "PATH": os.environ["PATH"]}
    command = [sys.executable, "-S", "-m", "turnout_components.mirror_node", str(folder)]
    done = subprocess.run(command, input=text(MIRROR) + "\n", env=environment, capture_output=True, text=True, check=True)
    assert done.stderr == "turnout: the mirror's parameter is taken up\n"
    return folder


def test_the_node_s_files_are_byte_for_byte_the_local_cloud_s(on_the_node: Path, tmp_path: Path) -> None:
    mirrors = Mirrors(tmp_path / "home", Registry(tmp_path / "processes.json"), Ports(), time.monotonic)
    try:
        mirrors.reconcile({"i-1": MIRROR}, {"i-1": ("127.0.0.1", 1)})
        assert envoys(on_the_node) == envoys(tmp_path / "home" / "mirrors" / "i-1")
    finally:
        processes.end(mirrors.running(), 5)


def test_what_is_shipped_is_what_is_here_without_its_comments() -> None:
    for name in MODULES:
        source = (Path(node_scripts.__file__).parent / f"{name}.py").read_text()
        shipped = node_scripts.files(node())[f"/usr/local/lib/turnout/turnout_components/{name}.py"]
        assert _without_docstrings(source) == _without_docstrings(shipped)
        assert "#" not in shipped
        assert '"""' not in shipped


def node() -> dict[str, object]:
    engine = {"name": "x", "flags": [], "env": {}}
    release = {"digest": "d", "image": "i", "model": {"uri": "file:x", "sha256": "s"}, "engine": engine}
    told = {"region": "", "group": "g", "log_group": "", "port": 8000, "drain": 1, "health": "/", "launch_timeout": 1}
    return {**told, "hooks": {}, "secrets": {}, "release": release, "mirror": {"image": MIRROR_IMAGE, "port": 1, "admin": 2}}


def _without_docstrings(source: str) -> str:
    tree = ast.parse(source)
    for each in ast.walk(tree):
        body = getattr(each, "body", None)
        if isinstance(body, list) and len(body) > 1:
            each.body = [s for s in body if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))]  # type: ignore[attr-defined]
    return ast.dump(tree)


@pytest.mark.parametrize("name", MODULES)
def test_what_is_shipped_is_python_of_a_node(name: str) -> None:
    """3.9 for the life of Amazon Linux 2023 ("Python in AL2023"): no `match`, and no type with `|` that is looked at."""
    tree = ast.parse((Path(node_scripts.__file__).parent / f"{name}.py").read_text(), feature_version=(3, 9))
    assert not [each for each in ast.walk(tree) if isinstance(each, ast.Match)]
    hints = [getattr(each, key, None) for each in ast.walk(tree) for key in ("annotation", "returns")]
    assert not [each for hint in hints if hint for each in ast.walk(hint) if isinstance(each, ast.BitOr)]


def test_each_change_is_a_version_and_what_is_asked_again_changes_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "mirror"
    assert mirror_node.take_up(folder, "") == ""
    assert not folder.exists()
    for version, mirror in enumerate((MIRROR, Mirror(1, MIRROR.targets)), 1):
        assert mirror_node.take_up(folder, text(mirror)) == "is taken up"
        assert mirror_node.take_up(folder, text(mirror)) == ""
        assert {name: content.decode() for name, content in envoys(folder).items()} == files(mirror, version)
        assert (folder / "wanted").read_text() == text(mirror)
    assert mirror_node.take_up(folder, "") == "is gone: nothing is copied"
    assert {name: content.decode() for name, content in envoys(folder).items()} == files(Mirror(0, ()), 3)
    assert sorted(path.name for path in folder.iterdir()) == ["asked", "cds.json", "rds.json"]


@pytest.mark.parametrize("mirror", [Mirror(0, MIRROR.targets), Mirror(10, ())])
def test_a_mirror_that_copies_nothing_wants_no_envoy(tmp_path: Path, mirror: Mirror) -> None:
    mirror_node.take_up(tmp_path, text(MIRROR))
    mirror_node.take_up(tmp_path, text(mirror))
    assert not (tmp_path / "wanted").exists()


def test_who_is_killed_before_the_end_begins_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace = os.replace

    def killed(source: Path, target: Path) -> None:
        if target.name == "asked":
            raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr("turnout_components.mirror_node.os.replace", killed)
    with pytest.raises(KeyboardInterrupt):
        mirror_node.take_up(tmp_path, text(MIRROR))
    monkeypatch.undo()
    assert mirror_node.take_up(tmp_path, text(MIRROR)) == "is taken up"
    assert (tmp_path / "asked").read_text() == text(MIRROR)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"share": float("nan")}, "share = nan: is no share"),
        ({"timeout": float("nan")}, "timeout = nan: is no time for a copy"),
        ({"timeout": 1e9}, "timeout = 1000000000.0: is no time for a copy; write seconds above 0 and up to 3600"),
        ({"prefix": "v1"}, "prefix = 'v1': begins no path"),
        ({"targets": ["127.0.0.1:80"]}, "targets = '127.0.0.1:80': is no instance"),
        ({"targets": ["169.254.169.254:80"]}, "is no instance"),
        ({"targets": ["224.0.0.1:80"]}, "is no instance"),
        ({"targets": ["candidate.internal:80"]}, "is no instance"),
        ({"targets": ["10.0.0.1:0"]}, "is no instance"),
        ({"targets": ["10.0.0.1"]}, "is no mirror: ValueError"),
        ({"targets": None}, "is no mirror: TypeError"),
    ],
    ids=str,
)
def test_what_is_no_mirror_is_refused_with_what_is_wrong(changes: dict[str, object], told: str) -> None:
    with pytest.raises(ValueError, match="^") as refused:
        mirror_node.read(json.dumps({**MIRROR.for_storage(), **changes}))
    assert told in str(refused.value)


@given(st.text() | st.recursive(st.none() | st.floats() | st.text(), lambda inner: st.lists(inner)).map(json.dumps))
def test_whatever_the_parameter_says_it_is_a_mirror_or_refused(said: str) -> None:
    with contextlib.suppress(ValueError):
        assert faults(mirror_node.read(said)) == []
