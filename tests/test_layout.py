"""The house's rules, held over every file under version control; and each rule, shown to see what breaks it."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests import layout_rules as rules

PLAIN = "components/turnout_components/live.py"
COMPONENT = "components/turnout_components/network.py"


@pytest.fixture(scope="module")
def files() -> dict[str, str]:
    return rules.tracked()


def test_imports_go_one_way(files: dict[str, str]) -> None:
    assert rules.forbidden_imports(files) == []


def test_program_and_components_need_no_other_packages(files: dict[str, str]) -> None:
    assert rules.foreign_imports(files) == []


def test_component_modules_keep_their_annotations(files: dict[str, str]) -> None:
    assert rules.postponed_annotations(files) == []


def test_no_file_has_two_subjects(files: dict[str, str]) -> None:
    assert rules.long_files(files) == []


def test_no_two_tests_are_one_module(files: dict[str, str]) -> None:
    assert rules.tests_of_one_name(files) == []


def test_no_file_tells_of_the_machine_it_was_written_on(files: dict[str, str]) -> None:
    assert rules.traces_of_a_machine(files) == []


def test_every_link_leads_somewhere(files: dict[str, str]) -> None:
    assert rules.broken_links(files, files) == []


def test_every_document_is_linked(files: dict[str, str]) -> None:
    assert rules.unlinked_docs(files) == []


def test_decisions_are_numbered_once(files: dict[str, str]) -> None:
    assert rules.faulty_decisions(files) == []


def test_plain_modules_load_without_pulumi(files: dict[str, str]) -> None:
    names = [rules.module_of(path) for path in files if path.startswith("components/") and path.endswith(".py")]
    plain = [name for name in names if name not in rules.COMPONENTS]
    assert "turnout_components.rollback" in plain
    assert _loads_pulumi([*plain]) == ""


def test_component_modules_do_load_pulumi() -> None:
    assert _loads_pulumi(["turnout_components.naming", "turnout_components.ingress"]) == "turnout_components.ingress"


def _loads_pulumi(modules: list[str]) -> str:
    """The first of the modules after whose import Pulumi is there, in a fresh interpreter."""
    code = (
        "import importlib, sys\n"
        "for name in sys.argv[1:]:\n"
        "    importlib.import_module(name)\n"
        "    if {'pulumi', 'pulumi_aws'} & {loaded.partition('.')[0] for loaded in sys.modules}:\n"
        "        sys.exit(name)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, *modules], capture_output=True, text=True, check=False)
    return done.stderr.strip()


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("infra/settings.py", "from turnout.stacks import Stack"),
        ("infra/settings.py", "import examples.digits.server"),
        (COMPONENT, "from infra.settings import load"),
        (COMPONENT, "import turnout"),
        (PLAIN, "import pulumi"),
        (PLAIN, "from pulumi_aws import lb"),
        (PLAIN, "from turnout_components.network import Nat"),
        (PLAIN, "from turnout_components import network"),
        (PLAIN, "from .ingress import TEST_HEADER"),
        (PLAIN, "from . import ingress"),
        ("policies/traffic.py", "from turnout_components.ingress import TLS_POLICY"),
        ("policies/traffic.py", "import pulumi"),
        ("policies/traffic.py", "from turnout.stacks import Stack"),
        ("infra/settings.py", "from policies.pack import POLICIES"),
        ("turnout/stacks.py", "from turnout_components.environment import Alarm"),
        ("turnout/stacks.py", "from infra import settings"),
        ("turnout/engine/plan.py", "from turnout.cloud import client"),
        ("turnout/engine/plan.py", "from turnout.providers import registry"),
        ("turnout/engine/plan.py", "def late():\n    import turnout.deploy"),
        ("turnout/engine/plan.py", "from turnout_components.live import LiveCloud"),
        ("turnout/providers/aws/iam.py", "from turnout.engine.state import Snapshot"),
        ("turnout/providers/aws/iam.py", "from turnout.engine import state"),
        ("turnout/providers/aws/iam.py", "from turnout import rollout"),
        ("turnout/providers/__init__.py", "from ..engine.state import Snapshot"),
        ("turnout/cloud/daemon.py", "from turnout.providers.aws.iam import Role"),
        ("turnout/cloud/daemon.py", "import importlib\nimportlib.import_module('turnout.engine.store')"),
        ("turnout/deploy.py", "from turnout.cli.errors import Exit"),
        ("turnout/deploy.py", "from turnout.demo.run import run"),
        ("turnout/demo/run.py", "from turnout import cli"),
        ("examples/digits/server.py", "from turnout.cli import app"),
    ],
)
def test_an_import_that_goes_the_wrong_way_is_seen(path: str, source: str) -> None:
    (wrong,) = rules.forbidden_imports({path: source})
    assert wrong.startswith(f"{path}:")
    assert "may not import" in wrong


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("infra/settings.py", "from turnout_components.network import Nat\nimport infra.config"),
        (COMPONENT, "import pulumi\nfrom turnout_components.naming import shorten"),
        ("components/turnout_components/environment.py", "from .gpu_node_pool import GpuNodePool"),
        (
            "policies/traffic.py",
            "from pulumi_policy import Severity\nfrom turnout_components import policy_traffic\nimport policies.making",
        ),
        ("turnout/access.py", "from turnout_components.live import LiveCloud"),
        ("turnout/providers/aws/iam.py", "from turnout.engine.provider import Fault\nfrom turnout.engine import provider"),
        ("turnout/deploy.py", "from turnout.engine.store import StackStore\nfrom turnout.providers import registry"),
        ("turnout/__main__.py", "from turnout.cli import main"),
        ("turnout/clients.py", "import turnout.client"),
        ("tests/cli/test_x.py", "from turnout.cli.commands import app\nfrom turnout.demo import report"),
    ],
)
def test_an_import_that_goes_the_right_way_is_left_alone(path: str, source: str) -> None:
    assert rules.forbidden_imports({path: source}) == []


def test_a_package_that_nobody_else_needs_is_seen() -> None:
    source = "import json\nimport yaml\nimport pulumi\nfrom numpy import array\nimport infra.config"
    assert rules.foreign_imports({"infra/rules.py": source}) == [
        "infra/rules.py:2: yaml is no package that infra.rules may need",
        "infra/rules.py:4: numpy is no package that infra.rules may need",
    ]
    assert rules.foreign_imports({"turnout/deploy.py": source}) == []


def test_postponed_annotations_are_seen_in_components_only() -> None:
    source = "from __future__ import annotations"
    assert len(rules.postponed_annotations({COMPONENT: source, PLAIN: source})) == 1


def test_a_file_that_grew_is_seen() -> None:
    lines = {"infra/__main__.py": 81, "infra/rules.py": 400, "turnout/deploy.py": 401, "requirements.lock": 2000}
    grown = rules.long_files({path: "x = 1\n" * count for path, count in lines.items()})
    assert grown == ["infra/__main__.py: 81 lines, at most 80", "turnout/deploy.py: 401 lines, at most 400"]


def test_two_tests_of_one_name_are_seen() -> None:
    files = dict.fromkeys(["tests/a/test_x.py", "tests/b/test_x.py", "tests/c/__init__.py", "tests/c/test_x.py"], "")
    assert rules.tests_of_one_name(files) == ["tests/a/test_x.py", "tests/b/test_x.py"]


@pytest.mark.parametrize(
    "text",
    [
        "/".join(["see ", "home", "me", "notes"]),
        "/".join(["file://", "root", "x"]),
        "/".join(["cd ", "work", "main"]),
        "https://" + "pypi." + "org/simple",
        "--" + "index-url https://example.com",
    ],
)
def test_a_trace_of_a_machine_is_seen(text: str) -> None:
    assert len(rules.traces_of_a_machine({"docs/x.md": f"one\n{text}\n"})) == 1


@pytest.mark.parametrize(
    "text",
    [
        *(
            "/".join(parts)
            for parts in (["docs", "work", "x"], ["${HOME}", "home", "x"], ["the ", "work of"], ["~", "home", ""])
        ),
        "https://docs.getmoto.org",
    ],
)
def test_other_paths_and_hosts_are_no_trace(text: str) -> None:
    assert rules.traces_of_a_machine({"docs/x.md": text}) == []


def test_a_link_that_leads_nowhere_is_seen() -> None:
    text = "[a](b.md) [up](../README.md#why) [dir](adr) [web](https://x.org) [in](#here)\n```\n[no](link)\n```\n"
    files = {"docs/a.md": text, "README.md": "", "docs/adr/0001-x.md": ""}
    assert rules.broken_links(files, files) == ["docs/a.md: b.md leads nowhere"]


def test_a_document_that_nobody_links_is_seen() -> None:
    files = {"README.md": "[a](docs/a.md)", "docs/README.md": "[b](b.md)", "docs/a.md": "[c](c.md)", "docs/b.md": ""}
    assert rules.unlinked_docs(files) == []
    assert rules.unlinked_docs({**files, "docs/c.md": ""}) == ["docs/c.md: linked from none of README.md, docs/README.md"]


def test_decisions_with_the_same_number_or_none_are_seen() -> None:
    found = rules.faulty_decisions(["docs/adr/0001-a.md", "docs/adr/0001-b-c.md", "docs/adr/2-d.md", "docs/x.md"])
    assert found == ["docs/adr/0001-b-c.md: has the number of docs/adr/0001-a.md", "docs/adr/2-d.md: call it NNNN-sentence.md"]


def test_modules_are_named_as_they_are_imported() -> None:
    assert rules.module_of("components/turnout_components/live.py") == "turnout_components.live"
    assert rules.module_of("turnout/cli/__init__.py") == "turnout.cli"
    assert Path(rules.ROOT, "pyproject.toml").is_file()
