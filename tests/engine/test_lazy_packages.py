"""Generated packages mean the same whether they are imported lazily or not: every name, every hint, every way to import."""

import functools
import json
import subprocess
import sys
import textwrap
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.engine_state.bench import Project

SMALL = (
    "pulumi_aws.eks",
    "pulumi_aws.iam",
    "pulumi_aws.lb",
    "pulumi_aws.vpc",
    "pulumi_kubernetes.apps.v1",
    "pulumi_kubernetes.meta.v1",
)
LARGE = ("pulumi_aws.ec2", "pulumi_kubernetes.core.v1")
"""Ten seconds each, and of the same making."""
PACKAGES = [*SMALL, *(pytest.param(name, marks=pytest.mark.slow) for name in LARGE)]
BY_HAND = "pulumi_kubernetes.helm.v3"
"""A generated package with a module that was written by hand: its names cannot be told."""
TELL = Path(__file__).parent / "package_names.py"


def ask(how: str, what: str, packages: tuple[str, ...], asked: object = None) -> Any:
    return json.loads(python(str(TELL), how, what, *packages, stdin=json.dumps(asked)))


def python(*words: str, stdin: str = "", path: Path | None = None) -> str:
    env = {"PYTHONPATH": str(path or Path.cwd()), "PYTHONHASHSEED": "0", "PATH": ""}
    done = subprocess.run([sys.executable, *words], input=stdin, capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout


def lazily(code: str, path: Path | None = None) -> Any:
    """What code says as JSON by `tell`, run in a process that imports lazily."""
    head = f"import sys; sys.path.append({str(Path.cwd())!r})\nimport json\nfrom turnout.engine import lazy_packages\n"
    install = "lazy_packages.install()\ntell = lambda *each: print(json.dumps(each))\n"
    return json.loads(python("-c", head + install + textwrap.dedent(code), path=path))


@functools.cache
def names(packages: tuple[str, ...]) -> dict[str, Any]:
    """What each name stands for, imported plainly and lazily."""
    known = ask("plain", "KNOWN", packages)
    return {how: ask(how, "NAMES", packages, known) for how in ("plain", "lazy")}


@functools.cache
def hints(packages: tuple[str, ...]) -> dict[str, Any]:
    """How Pulumi reads each class, imported plainly and lazily."""
    modules = tuple(f"{package}{part}" for package in packages for part in ("._inputs", ".outputs", "._enums", ""))
    whose = tuple(name for name in modules if find_spec(name))
    known = ask("plain", "KNOWN", whose)
    return {how: ask(how, "HINTS", whose, known) for how in ("plain", "lazy")}


def beside(package: str) -> tuple[str, ...]:
    """The packages that are looked at in one process."""
    return SMALL if package in SMALL else LARGE


@pytest.mark.parametrize("package", PACKAGES)
def test_every_name_is_found_by_itself_and_stands_for_the_same(package: str) -> None:
    plain, lazy = (names(beside(package))[how][package] for how in ("plain", "lazy"))
    assert lazy["found"] == plain["found"]
    assert lazy["late"] == []


def test_a_name_that_cannot_be_told_is_found_by_the_packages_own_init() -> None:
    plain, lazy = (names((BY_HAND,))[how][BY_HAND] for how in ("plain", "lazy"))
    assert lazy["found"] == plain["found"]
    assert "Any" in lazy["late"]


@pytest.mark.parametrize("package", PACKAGES)
@pytest.mark.parametrize("part", ["", "._inputs", ".outputs"])
def test_pulumi_reads_the_same_from_every_class(package: str, part: str) -> None:
    plain, lazy = (hints(beside(package))[how][package + part] for how in ("plain", "lazy"))
    assert lazy == plain
    assert plain


def test_a_resource_brings_its_own_module_and_the_types_that_it_mentions() -> None:
    loaded, made, waiting = lazily(
        """
        from pulumi_aws import ec2
        ec2.Vpc, ec2.Instance
        inputs = sys.modules["pulumi_aws.ec2._inputs"]
        parts = [name for name in sys.modules if name.startswith("pulumi_aws.ec2.") and "_" not in name[15:]]
        tell(parts, "InstanceCpuOptionsArgs" in vars(inputs), "LaunchTemplateCpuOptionsArgs" not in vars(inputs))
        """
    )
    assert sorted(loaded) == ["pulumi_aws.ec2.instance", "pulumi_aws.ec2.outputs", "pulumi_aws.ec2.vpc"]
    assert (made, waiting) == (True, True)


def test_all_ways_to_import_lead_to_the_same() -> None:
    found = lazily(
        """
        import pulumi_aws.lb.get_listener
        from pulumi_aws import lb
        from pulumi_aws.lb import _inputs, listener as part, Listener
        from pulumi_aws.lb.listener import ListenerDefaultActionArgs as mentioned, TargetGroupHealthCheckArgs as other
        import pulumi_aws
        from pulumi.runtime.rpc import _RESOURCE_MODULES
        names = {}
        exec("from pulumi_aws.lb import *", names)
        exec("from pulumi_aws.lb.outputs import *", names)
        token = "aws:lb/listener:Listener"
        registered = next(each for each in _RESOURCE_MODULES["aws:lb/listener"] if token in each.mod_info["classes"])
        tell(
            lb.get_listener is lb.__dict__["get_listener"], callable(lb.get_listener),
            part.Listener is Listener, mentioned is lb.ListenerDefaultActionArgs, other is lb.TargetGroupHealthCheckArgs,
            names["Listener"] is Listener, names["TargetGroupHealthCheckArgs"] is other, "TargetGroupHealthCheck" in names,
            {"Listener", "get_listener", "outputs", "TargetGroupHealthCheckArgs"} <= set(dir(lb)),
            "TargetGroupHealthCheckArgs" in dir(_inputs), "TargetGroupHealthCheckArgs" in dir(part),
            pulumi_aws.lb is lb, sys.modules[registered.mod_info["fqn"]] is lb,
            not hasattr(lb, "Nothing"), not hasattr(_inputs, "Nothing"), not hasattr(part, "Nothing"),
        )
        """
    )
    assert all(found), found


def test_threads_that_ask_at_once_get_one_class() -> None:
    """Of a package that is there: Pulumi's own lazy import of one fails when two threads are the first to ask."""
    (classes,) = lazily(
        """
        from concurrent.futures import ThreadPoolExecutor
        from pulumi_kubernetes.core import v1
        v1.Namespace
        sys.setswitchinterval(1e-6)
        with ThreadPoolExecutor(16) as pool:
            found = list(pool.map(lambda _: (v1.PodTemplateSpecArgs, v1.outputs.PodSpec, v1.Pod), range(64)))
        tell(len(set(found)))
        """
    )
    assert classes == 1


HEAD = "# *** WARNING: this file was generated by pulumi-language-python. ***\n"
UNUSUAL = {
    "__init__.py": "from . import thing",
    "_utilities.py": "",
    "more/__init__.py": "from .thing import *\nfrom ._inputs import *\nMORE = 1",
    "more/_inputs.py": "__all__ = ['ThingArgs']\nclass ThingArgs: pass",
    "more/thing.py": "from ._inputs import *\n__all__ = ['Thing']\nclass Thing: pass",
    "thing/__init__.py": "from .. import _utilities\nfrom .thing import *\nfrom ._inputs import *\nfrom . import outputs",
    "thing/thing.py": "from ._inputs import *\n__all__ = ['Thing', 'odd']\nclass Thing: pass\ndef odd(): return LeafArgs()",
    "thing/_inputs.py": "__all__ = ['LeafArgs', 'RootArgs']\nclass RootArgs: pass\nclass LeafArgs(RootArgs): pass",
    "thing/outputs.py": "__all__ = ['Leaf']\nclass Leaf: pass\ndef leaf(): return Leaf()",
}
"""A package that is almost as the generator would write it: an `__init__` that does more, a class with a base, a function."""


def test_what_is_not_as_the_generator_writes_it_is_loaded_as_it_is(tmp_path: Path) -> None:
    for name, code in UNUSUAL.items():
        file = tmp_path / "pulumi_unusual" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(HEAD + code)
    found = lazily(
        """
        from pulumi_unusual import thing, more
        tell(
            thing.odd().__class__ is thing.LeafArgs, issubclass(thing.LeafArgs, thing.RootArgs), more.MORE == 1,
            isinstance(thing.outputs.leaf(), thing.outputs.Leaf), thing.Thing is not more.Thing, bool(more.ThingArgs()),
        )
        """,
        path=tmp_path,
    )
    assert all(found), found


@pytest.mark.usefixtures("started_programs")
def test_a_program_of_the_local_engine_imports_lazily(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.program(
        """
        import sys
        from pulumi_aws import ec2
        ec2.Vpc
        pulumi.export("parts", sum(name.startswith("pulumi_aws.ec2.") for name in sys.modules))
        """
    )
    assert project.stack().up().outputs["parts"].value < 10
