"""Who may import whom, and what no file may hold: each rule a function that returns its violations as lines."""

import ast
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parent.parent
LINES_AT_MOST = 400
PROGRAM_LINES_AT_MOST = 80
COMPONENT_MODULES = (
    "arguments",
    "artifact_store",
    "autoscaling_policy",
    "capacity_placeholder",
    "eks_cluster",
    "eks_node_group",
    "eks_roles",
    "encryption_key",
    "environment",
    "gate_hooks",
    "gateway_ingress",
    "gpu_node_pool",
    "gpu_support",
    "ingress",
    "karpenter_interruptions",
    "karpenter_pool",
    "mirror_access",
    "model_deployment",
    "network",
    "network_load_balancer",
    "node_access",
    "public",
    "rollout_runner",
    "route_switch",
    "runner_reach",
    "service_namespace",
    "service_secrets",
    "target_alarms",
    "traffic_decision",
    "traffic_switch",
    "workload_autoscaler",
    "workload_secrets",
)
"""Modules of turnout_components that import Pulumi; all others are plain."""
COMPONENTS = tuple(f"turnout_components.{name}" for name in COMPONENT_MODULES)
OURS = ("benchmarks", "examples", "infra", "policies", "tests", "tools", "turnout", "turnout_components")
DELIVERY = ("turnout.rollout", "turnout.analysis", "turnout.metrics")
_PURE = ("actions", "decide", "evidence", "opening", "status", "steps", "surge", "swap")
DECISIONS = tuple(f"turnout.rollout.{name}" for name in _PURE)
"""The pure part of rollouts: no source of measurements, no store, no effects."""
EFFECTS = tuple(f"turnout.rollout.{name}" for name in ("controller", "mirrors", "moves", "store"))
PULUMI = ("pulumi", "pulumi_aws", "pulumi_kubernetes")


@dataclass(frozen=True)
class Import:
    """One imported name, as far as the statement says it (`from a.b import c` is `a.b.c`)."""

    line: int
    name: str


@dataclass(frozen=True)
class Rule:
    """Modules `of` (but those of `besides`) may not import `never`, except `but`. All are dotted prefixes."""

    of: tuple[str, ...]
    never: tuple[str, ...]
    but: tuple[str, ...] = ()
    besides: tuple[str, ...] = ()


RULES = (
    Rule(of=("infra",), never=OURS, but=("infra", "turnout_components")),
    Rule(of=("turnout_components",), never=OURS, but=("turnout_components",)),
    Rule(of=("turnout_components",), never=(*PULUMI, *COMPONENTS), besides=COMPONENTS),
    Rule(of=("policies",), never=OURS, but=("policies", "turnout_components")),
    Rule(of=("policies",), never=(*PULUMI, *COMPONENTS)),
    Rule(of=("turnout",), never=("benchmarks", "examples", "infra", "policies", "tests", "tools", *COMPONENTS)),
    Rule(of=("turnout.engine",), never=("turnout", "turnout_components"), but=("turnout.engine",)),
    Rule(
        of=("turnout.providers",),
        never=("turnout", "turnout_components"),
        but=("turnout.providers", "turnout.engine.provider", "turnout.engine.values"),
    ),
    Rule(
        of=("turnout.preview",),
        never=("turnout",),
        but=("turnout.preview", "turnout.engine", "turnout.providers"),
    ),
    Rule(of=("turnout.cloud",), never=("turnout",), but=("turnout.cloud",)),
    Rule(of=("turnout.cluster",), never=("turnout",), but=("turnout.cluster", "turnout.cloud")),
    Rule(of=("turnout.analysis",), never=("turnout",), but=("turnout.analysis",)),
    Rule(of=("turnout.metrics",), never=("turnout",), but=("turnout.metrics", "turnout.analysis")),
    Rule(of=("turnout.rollout",), never=("turnout",), but=(*DELIVERY, "turnout.releasing", "turnout.cloud.images")),
    Rule(of=("turnout.pipeline",), never=("turnout",), but=("turnout.pipeline", "turnout.releasing", "turnout.cloud")),
    Rule(of=DECISIONS, never=("turnout.metrics", *EFFECTS)),
    Rule(of=("turnout.report",), never=("turnout",), but=("turnout.report", "turnout.rollout", "turnout.analysis")),
    Rule(of=OURS, never=("turnout.cli",), besides=("turnout.cli", "turnout.__main__", "tests")),
    Rule(of=OURS, never=("turnout.demo",), besides=("turnout.cli", "turnout.demo", "tests")),
)
THIRD_PARTIES: Mapping[str, frozenset[str]] = {
    "infra": frozenset({"boto3", "botocore", "pulumi", "pulumi_aws", "pulumi_kubernetes", "pydantic"}),
    "policies": frozenset({"pulumi_policy"}),
    "turnout_components": frozenset(
        {"boto3", "botocore", "lightkube", "pulumi", "pulumi_aws", "pulumi_kubernetes", "pydantic", "yaml"}
    ),
}

_PRIVATE_PATH = re.compile(r"(?<![\w.}])/(?:work|root|home|Users)/\w")
_REGISTRY = re.compile(
    r"(?:pypi|npmjs|crates)\.(?:org|io)/|pythonhosted\.org|artifactor[y]|nexus[/]repository|--(?:extra-)?index-url|--find-link[s]",
    re.IGNORECASE,
)
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(\s*([^)\s]+)\s*\)")
_FENCE = re.compile(r"^```.*?^```", re.S | re.M)
_ADR = re.compile(r"^(?P<number>\d{4})-[a-z0-9]+(-[a-z0-9]+)*\.md$")


def tracked(root: Path = ROOT) -> dict[str, str]:
    """Text of every file under version control by its path; binary ones are left out."""
    names = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, check=True, text=True).stdout
    files = {}
    for name in filter(None, names.split("\0")):
        try:
            files[name] = (root / name).read_text(encoding="utf-8")
        except (UnicodeDecodeError, FileNotFoundError):
            continue
    return files


def module_of(path: str) -> str:
    """`components/turnout_components/live.py` is module `turnout_components.live`."""
    parts = PurePosixPath(path.removeprefix("components/")).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: str, source: str) -> Iterator[Import]:
    """Every import in the file, wherever it stands: also in functions, for type checkers and by `import_module`."""
    package = module_of(path).split(".")
    if not path.endswith("__init__.py"):
        package.pop()
    for node in ast.walk(ast.parse(source, path)):
        if isinstance(node, ast.Import):
            yield from (Import(node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield from (Import(node.lineno, base if alias.name == "*" else f"{base}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in ("import_module", "__import__") and isinstance(node.args[0].value, str):
                yield Import(node.lineno, node.args[0].value)


def _within(name: str, prefixes: Iterable[str]) -> bool:
    return any(name == prefix or name.startswith(f"{prefix}.") for prefix in prefixes)


def forbidden_imports(files: Mapping[str, str], rules: Sequence[Rule] = RULES) -> list[str]:
    """Imports of our own modules that go the wrong way."""
    wrong = []
    for path, source in _python(files):
        module = module_of(path)
        held = [rule for rule in rules if _within(module, rule.of) and not _within(module, rule.besides)]
        for found in imports(path, source):
            if any(_within(found.name, rule.never) and not _within(found.name, rule.but) for rule in held):
                wrong.append(f"{path}:{found.line}: {module} may not import {found.name}")
    return wrong


def foreign_imports(files: Mapping[str, str]) -> list[str]:
    """Third parties that program and components do not name as theirs: what they need, everybody who uses them needs."""
    wrong = []
    for path, source in _python(files):
        known = THIRD_PARTIES.get(module_of(path).split(".")[0])
        if known is None:
            continue
        for found in imports(path, source):
            top = found.name.split(".")[0]
            if top not in known and top not in sys.stdlib_module_names and top not in OURS:
                wrong.append(f"{path}:{found.line}: {top} is no package that {module_of(path)} may need")
    return wrong


def postponed_annotations(files: Mapping[str, str]) -> list[str]:
    """Component modules with `from __future__ import annotations`: Pulumi reads the types of components at run time."""
    return [
        f"{path}:{found.line}: a component module may not postpone annotations"
        for path, source in _python(files)
        if module_of(path) in COMPONENTS
        for found in imports(path, source)
        if found.name == "__future__.annotations"
    ]


def long_files(files: Mapping[str, str]) -> list[str]:
    """Python files with two subjects, and a program that does not read as the story any more."""
    limits = {path: PROGRAM_LINES_AT_MOST if path == "infra/__main__.py" else LINES_AT_MOST for path, _ in _python(files)}
    counted = {path: len(files[path].splitlines()) for path in limits}
    return [f"{path}: {counted[path]} lines, at most {limit}" for path, limit in limits.items() if counted[path] > limit]


def tests_of_one_name(files: Mapping[str, str]) -> list[str]:
    """Test files that pytest would take for one: in folders that are no packages a file's name is its module's."""
    loose = [path for path in files if path.startswith("tests/") and f"{path.rpartition('/')[0]}/__init__.py" not in files]
    names = Counter(path.rpartition("/")[2] for path in loose if path.rpartition("/")[2].startswith("test_"))
    return sorted(path for path in loose if names[path.rpartition("/")[2]] > 1)


def traces_of_a_machine(files: Mapping[str, str]) -> list[str]:
    """Paths of somebody's machine, and hosts or options of a package registry."""
    return [
        f"{path}:{number}: {match.group(0)}"
        for path, text in files.items()
        for number, line in enumerate(text.splitlines(), 1)
        for pattern in (_PRIVATE_PATH, _REGISTRY)
        if (match := pattern.search(line))
    ]


def links(text: str) -> list[str]:
    """The relative links of a Markdown text, without anchors; what stands in code blocks is no link."""
    targets = (target.partition("#")[0] for target in _LINK.findall(_FENCE.sub("", text)))
    return [target for target in targets if target and "://" not in target and not target.startswith("mailto:")]


def _linked_from(path: str, text: str) -> Iterator[tuple[str, str]]:
    """Each relative link with the path that it leads to from the project's root."""
    for link in links(text):
        parts: list[str] = []
        for part in (PurePosixPath(path).parent / link).parts:
            if part == ".." and parts and parts[-1] != "..":
                parts.pop()
            else:
                parts.append(part)
        yield link, "/".join(parts)


def broken_links(files: Mapping[str, str], names: Iterable[str]) -> list[str]:
    """Links in Markdown that lead to no file or folder of `names`."""
    known = {str(folder) for name in names for folder in (PurePosixPath(name), *PurePosixPath(name).parents)}
    return [
        f"{path}: {link} leads nowhere"
        for path, text in files.items()
        if path.endswith(".md")
        for link, target in _linked_from(path, text)
        if target not in known
    ]


def unlinked_docs(files: Mapping[str, str], indexes: Sequence[str] = ("README.md", "docs/README.md")) -> list[str]:
    """Documents below docs/ that neither the README nor the index of docs names."""
    found = {target for index in indexes for _, target in _linked_from(index, files.get(index, ""))}
    documents = (path for path in files if path.startswith("docs/") and path.endswith(".md") and path not in indexes)
    return [f"{path}: linked from none of {', '.join(indexes)}" for path in documents if path not in found]


def faulty_decisions(names: Iterable[str]) -> list[str]:
    """Decision records whose names are not `NNNN-sentence.md`, or that share a number."""
    seen: dict[str, str] = {}
    wrong = []
    for path in sorted(name for name in names if name.startswith("docs/adr/")):
        match = _ADR.match(PurePosixPath(path).name)
        if match is None:
            wrong.append(f"{path}: call it NNNN-sentence.md")
        elif match["number"] in seen:
            wrong.append(f"{path}: has the number of {seen[match['number']]}")
        else:
            seen[match["number"]] = path
    return wrong


def _python(files: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(path, text) for path, text in files.items() if path.endswith(".py")]
