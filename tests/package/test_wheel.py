"""The wheel of turnout-components: what is in it, and that what it declares is all that it needs."""

import json
import os
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterable, Iterator
from email.parser import HeaderParser
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder
from packaging.requirements import Requirement

from tests.layout_rules import ROOT

FOLDER = ROOT / "components"
PROGRAM = """
import asyncio, importlib, json, pkgutil
asyncio.set_event_loop(asyncio.new_event_loop())
import pulumi

class Mocks(pulumi.runtime.Mocks):
    made = []
    def new_resource(self, args):
        self.made.append(args.typ)
        arn = f"arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/app/{args.name}/1"
        return args.name, {"arn": arn, "name": args.name, "latestVersion": 1, **args.inputs}
    def call(self, args):
        raise AssertionError(args.token)

pulumi.runtime.set_mocks(Mocks())
import turnout_components
modules = [found.name for found in pkgutil.iter_modules(turnout_components.__path__)]
for name in modules:
    importlib.import_module(f"turnout_components.{name}")
from turnout_components.environment import Environment
from turnout_components.ingress import Ingress
from turnout_components.network import Network

@pulumi.runtime.test
def program():
    zones = ["us-east-1a", "us-east-1b"]
    network = Network("svc", {"cidr": "10.0.0.0/16", "zones": zones, "flow_logs": {"enabled": False}})
    paths = {"blue": "/ready", "green": "/ready"}
    ingress = Ingress("svc", {"vpc_id": network.vpc_id, "subnet_ids": network.public_subnet_ids, "health_paths": paths})
    sha = "sha256:" + "ab" * 32
    release = {"name": "llm-1", "digest": sha, "image": "vllm@" + sha, "engine": {"name": "vllm", "flags": []},
        "model": {"name": "llm", "version": "1", "uri": "s3://models/llm/1/", "sha256": sha}}
    blue = Environment("svc-blue", {"service": "svc", "environment": "blue", "region": "us-east-1", "release": release,
        "vpc_id": network.vpc_id, "subnet_ids": network.private_subnet_ids,
        "target_group_arn": ingress.target_group_arns["blue"], "load_balancer_arn": ingress.load_balancer_arn,
        "balancer_security_group_id": ingress.security_group_id})
    return blue.group_name

program()
print(json.dumps({"modules": modules, "made": Mocks.made, "at": turnout_components.__file__}))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    return Path(next(iter(WheelBuilder(str(FOLDER)).build(directory=str(folder), versions=["standard"]))))


def contents(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def requirements(wheel: Path) -> list[Requirement]:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        headers = HeaderParser().parsestr(archive.read(name).decode())
    return [Requirement(line) for line in headers.get_all("Requires-Dist") or ()]


def closure(wanted: Iterable[Requirement]) -> dict[str, Distribution]:
    """The distributions that pip would install for `wanted`, as they are here."""
    found: dict[str, Distribution] = {}
    for need in wanted:
        _follow(need, found, set())
    return found


def _follow(need: Requirement, found: dict[str, Distribution], seen: set[tuple[str, str]]) -> None:
    for extra in ("", *need.extras):
        if (need.name.lower(), extra) in seen:
            continue
        seen.add((need.name.lower(), extra))
        made = found[need.name.lower()] = distribution(need.name)
        for line in made.requires or ():
            nested = Requirement(line)
            if nested.marker is None or nested.marker.evaluate({"extra": extra}):
                _follow(nested, found, seen)


def environment(folder: Path, wheel: Path, made_of: Iterable[Distribution]) -> Path:
    """The Python of a new virtual environment that holds the wheel, and of what is installed here just `made_of`."""
    venv.create(folder, symlinks=True)
    (site,) = folder.glob("lib/python*/site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    for each in made_of:
        for source, name in tops(each):
            target = site / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.exists():
                target.symlink_to(source)
    return folder / "bin" / "python"


def tops(made: Distribution) -> Iterator[tuple[Path, str]]:
    """A distribution's own folders and files: of a folder that several share (`google`) what lies in it."""
    names = set()
    for file in made.files or ():
        parts = file.parts
        if parts[0] in ("..", "__pycache__"):
            continue
        deep = 1
        while deep < len(parts) and not parts[0].endswith("-info") and is_shared(made, parts[:deep]):
            deep += 1
        names.add("/".join(parts[:deep]))
    yield from ((Path(str(made.locate_file(name))), name) for name in sorted(names))


def is_shared(made: Distribution, folder: tuple[str, ...]) -> bool:
    path = Path(str(made.locate_file("/".join(folder))))
    return path.is_dir() and not (path / "__init__.py").exists()


def run(python: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    script = folder / "program.py"
    script.write_text(PROGRAM)
    clean = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    return subprocess.run([python, "-I", script], cwd=folder, capture_output=True, text=True, env=clean)


def test_the_wheel_holds_the_library_and_nothing_else(wheel: Path) -> None:
    names = contents(wheel)
    tracked = subprocess.run(
        ["git", "ls-files", "turnout_components"], cwd=FOLDER, capture_output=True, text=True, check=True
    ).stdout.split()
    assert {name for name in tracked if (FOLDER / name).exists()} <= names
    assert {"turnout_components/node/serve.sh", "turnout_components/variant_filter.lua"} <= names
    assert {name.split("/")[0].split("-")[0] for name in names} == {"turnout_components"}


def test_the_wheel_works_where_only_what_it_declares_is_installed(wheel: Path, tmp_path: Path) -> None:
    ran = run(environment(tmp_path / "venv", wheel, closure(requirements(wheel)).values()), tmp_path)
    assert ran.returncode == 0, ran.stderr
    said = json.loads(ran.stdout)
    assert Path(said["at"]).is_relative_to(tmp_path)
    assert {"traffic_switch", "gate", "public", "resolve"} <= set(said["modules"])
    made = {kind.rpartition(":")[2] for kind in said["made"]}
    assert {"Vpc", "LoadBalancer", "TargetGroup", "LaunchTemplate", "Group", "MetricAlarm"} <= made


@pytest.mark.parametrize("left_out", ["pydantic", "pyyaml"])
def test_a_dependency_that_the_wheel_did_not_declare_would_be_missed(wheel: Path, tmp_path: Path, left_out: str) -> None:
    declared = [need for need in requirements(wheel) if need.name != left_out]
    made_of = {name: made for name, made in closure(declared).items() if name != left_out}
    ran = run(environment(tmp_path / "venv", wheel, made_of.values()), tmp_path)
    assert "ModuleNotFoundError" in ran.stderr


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_wheel_installs_from_the_registry_and_works(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", wheel], check=True, stdout=sys.stderr)
    ran = run(python, tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert Path(json.loads(ran.stdout)["at"]).is_relative_to(tmp_path)
