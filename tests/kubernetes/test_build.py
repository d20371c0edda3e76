"""The build of the control plane: what it pins, what it leaves when it fails, and what it says."""

import fcntl
import json
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.layout_rules import ROOT
from tools.kubernetes import build
from turnout.cluster import binaries, versions

FAKE_GO = """#!{python} -IS
import os, pathlib, sys
arguments = sys.argv[1:]
with open({calls!r}, "a") as calls:
    print(*arguments, file=calls)
if arguments[:2] == ["env", "GOVERSION"]:
    print("go1.26.8")
elif arguments[:2] == ["mod", "edit"]:
    module = pathlib.Path(arguments[-1].partition("=")[2].partition("=")[2])
    print("built from:", *[path.read_text() for path in sorted(module.rglob("*.go"))], file=open({calls!r}, "a"))
elif arguments[:2] == ["mod", "download"]:
    print(open({folder!r} + "/" + arguments[-1].partition("@")[0].replace("/", "_") + ".json").read())
else:
    print("some/package")
    if {failing!r} in arguments[-1]:
        print("# some/package\\nfile.go:1:1: undefined: word")
        sys.exit(1)
    target = pathlib.Path(arguments[arguments.index("-o") + 1])
    target.parent.mkdir(exist_ok=True)
    target.write_text("#!/bin/sh\\n")
    target.chmod(0o755)
"""

Go = Callable[..., Path]


@pytest.fixture
def go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Go:
    """Puts a `go` on the PATH that answers as the real one does, without its minutes; returns the list of its calls."""

    def put(failing: str = "nothing", sums: str = "", source_is_known: bool = True) -> Path:
        modules = tmp_path / "modules"
        for module in (*versions.CRD_MODULES, *(part.definitions for part in versions.OPTIONAL_PARTS if part.definitions)):
            folder = modules / module.name
            file = folder / module.files.replace("*", "things")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("kind: CustomResourceDefinition\n")
            answer = {"Dir": str(folder), "Sum": sums or module.sum}
            (modules / f"{module.module.replace('/', '_')}.json").write_text(json.dumps(answer))
            if module.module == versions.LOAD_BALANCER_CONTROLLER.module:
                for edit in versions.LOAD_BALANCER_CONTROLLER.edits:
                    source = folder / edit.file
                    source.parent.mkdir(parents=True, exist_ok=True)
                    source.write_text(f"before\n{edit.before if source_is_known else 'other'}\n")
        command = tmp_path / "bin" / "go"
        command.parent.mkdir(exist_ok=True)
        calls = tmp_path / "calls"
        command.write_text(FAKE_GO.format(python=sys.executable, calls=str(calls), folder=str(modules), failing=failing))
        command.chmod(0o755)
        return calls

    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    return put


def test_each_go_mod_pins_the_version_that_the_code_names() -> None:
    for part in (*versions.GO_PARTS, *versions.OPTIONAL_PARTS):
        text = (ROOT / "tools/kubernetes" / part.folder / "go.mod").read_text()
        assert re.search(rf"\s{re.escape(part.module)} v{re.escape(part.version)}\s", text), part
        for package in part.packages.values():
            assert package in text


def test_the_staging_modules_are_the_release_s_own() -> None:
    text = (ROOT / "tools/kubernetes/control-plane/go.mod").read_text()
    replaced = [line.split() for line in text.splitlines() if " => " in line]
    assert len(replaced) == 33
    assert {version for *_, version in replaced} == {f"v0.{versions.KUBERNETES.partition('.')[2]}"}
    assert all(before == after for before, _, after, _ in replaced)


def test_other_versions_are_another_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    before = versions.key()
    monkeypatch.setattr(versions, "GO_PARTS", versions.GO_PARTS[:-1])
    assert versions.key() != before
    assert versions.key().startswith(versions.KUBERNETES)


def test_a_build_is_found_afterwards_and_not_made_again(go: Go) -> None:
    calls = go()
    with pytest.raises(binaries.NoBinariesError, match="make kubernetes"):
        binaries.find()
    place = build.ensure(lambda _: None)
    assert binaries.find() == place
    assert {path.name for path in place.programs.iterdir()} == set(versions.PROGRAMS)
    assert {path.name for path in place.crds.iterdir()} == {module.name for module in versions.CRD_MODULES}
    before = calls.read_text()
    assert build.ensure(lambda _: None) == place
    assert calls.read_text() == before


def test_an_optional_part_is_built_beside_the_control_plane_and_alone(go: Go) -> None:
    calls, part = go(), versions.LOAD_BALANCER_CONTROLLER
    before = versions.key()
    folder = build.ensure_part(part, lambda _: None)
    assert folder == binaries.optional(part)
    assert [path.name for path in folder.iterdir()] == list(part.packages)
    assert not binaries.built().programs.parent.exists()
    assert versions.key() == before
    assert 'built from: before\nHost: "127.0.0.1", Port: rtCfg.WebhookBindPort,' in calls.read_text()


def test_an_optional_part_brings_its_definitions_and_tells_its_version(go: Go) -> None:
    calls, part = go(), versions.ARGO_ROLLOUTS
    folder = build.ensure_part(part, lambda _: None)
    assert {path.name for path in folder.iterdir()} == {"rollouts-controller", "crds"}
    assert [str(path.relative_to(folder)) for path in folder.rglob("*.yaml")] == ["crds/argo-rollouts/things.yaml"]
    assert f"-X github.com/argoproj/argo-rollouts/utils/version.version={part.version} " in calls.read_text()
    assert not binaries.built().programs.parent.exists()


def test_an_edit_that_no_longer_fits_is_refused(go: Go) -> None:
    go(source_is_known=False)
    with pytest.raises(build.BuildError, match=r"runtime_config.go of the module has '.*WebhookBindPort,' 0 times, not once"):
        build.ensure_part(versions.LOAD_BALANCER_CONTROLLER, lambda _: None)
    assert [path.name for path in binaries.cache().iterdir()] == [".lock"]


def test_a_program_that_does_not_compile_leaves_nothing_and_is_told(go: Go) -> None:
    go(failing="kube-scheduler")
    with pytest.raises(build.BuildError, match=r"kube-scheduler 1\.\d+\.\d+ was not built.*\n(.*\n)*.*undefined: word"):
        build.ensure(lambda _: None)
    assert [path.name for path in binaries.cache().iterdir()] == [".lock"]
    go()
    assert build.ensure(lambda _: None).path("kube-scheduler").exists()


def test_a_module_with_another_sum_is_refused(go: Go) -> None:
    go(sums="h1:other")
    with pytest.raises(build.BuildError, match=r"its sum is h1:other, turnout/cluster/versions.py says h1:"):
        build.ensure(lambda _: None)


def test_what_a_killed_build_left_is_removed(go: Go) -> None:
    go()
    left = binaries.cache() / ".building-killed"
    left.mkdir(parents=True)
    place = build.ensure(lambda _: None)
    assert {path.name for path in binaries.cache().iterdir()} == {".lock", place.programs.parent.name}


def test_the_second_of_two_builders_waits_and_takes_the_first_one_s(go: Go) -> None:
    calls = go()
    binaries.cache().mkdir(parents=True)
    said: list[str] = []
    told = threading.Event()

    def say(text: str) -> None:
        said.append(text)
        told.set()

    with (binaries.cache() / ".lock").open("a+") as first:
        fcntl.flock(first, fcntl.LOCK_EX)
        second = threading.Thread(target=build.ensure, args=(say,))
        second.start()
        assert told.wait(20)
        binaries.built().programs.parent.mkdir()
    second.join(20)
    assert said == ["another build is running; waiting for it"]
    assert not calls.exists()


def test_no_go_is_said_in_one_line(tmp_path: Path) -> None:
    environ = {"PATH": "/nowhere", "XDG_CACHE_HOME": str(tmp_path)}
    command = [sys.executable, "-m", "tools.kubernetes"]
    ran = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True)
    assert ran.returncode == 1
    assert ran.stderr.count("\n") == 1
    assert "Install Go" in ran.stderr


def test_a_go_that_a_module_does_not_take_is_told(go: Go, tmp_path: Path) -> None:
    go()
    (tmp_path / "bin/go").write_text("#!/bin/sh\necho 'go: go.mod requires go >= 1.26.0 (running go 1.20)' >&2; exit 1\n")
    with pytest.raises(build.BuildError, match=r"not taken for go.etcd.io/etcd/server/v3 .*requires go >= 1\.26"):
        build.ensure(lambda _: None)


def test_given_programs_come_first_and_what_they_lack_is_named(go: Go, tmp_path: Path) -> None:
    go()
    place = build.ensure(lambda _: None)
    given = tmp_path / "given"
    given.mkdir()
    environ = {"KUBEBUILDER_ASSETS": str(given), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    assert binaries.find(environ) == place
    for program in versions.PROGRAMS:
        (given / program).symlink_to(place.path(program))
    assert binaries.find(environ) == binaries.Binaries(given, place.crds)
    environ["XDG_CACHE_HOME"] = str(tmp_path / "empty")
    (given / "kwok").unlink()
    with pytest.raises(binaries.NoBinariesError, match=r"given lacks kwok, definitions .*`make kubernetes`"):
        binaries.find(environ)
