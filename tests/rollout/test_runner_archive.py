"""The archive of the function that drives rollouts: whole with what it names and nothing else, and the same every time."""

import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest
from turnout_components import rollout_runner

from tools import runner_archive
from tools.runner_archive import CALLED, ON_EKS, PACKAGES, PYTHON, ROOT, contents, is_wanted, pack, pip_arguments, requirements


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages as pip would install them, from this Python's own."""
    folder = tmp_path_factory.mktemp("packages")
    for name in PACKAGES:
        for file in metadata.files(name) or []:
            source, target = Path(str(file.locate())), folder / file
            if ".." not in file.parts and source.is_file():
                target.parent.mkdir(parents=True, exist_ok=True)
                target.symlink_to(source)
    return folder


@pytest.fixture(scope="module")
def archive(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("archive") / "runner.zip"
    unpressed = SimpleNamespace(**{**vars(zipfile), "ZIP_DEFLATED": zipfile.ZIP_STORED})
    with pytest.MonkeyPatch.context() as quick:
        quick.setattr(runner_archive, "zipfile", unpressed)
        pack(contents(installed), target)
    return target


def test_the_handler_runs_from_the_archive_with_nothing_else_there(archive: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(archive) as held:
        held.extractall(tmp_path)
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(
        "{clusters: [{name: c, cluster: {server: 'http://127.0.0.1:9'}}], users: [{name: c, user: {}}],"
        " contexts: [{name: c, context: {cluster: c, user: c}}], current-context: c}"
    )
    code = f"""
import sys
sys.path[:] = [{str(tmp_path)!r}] + [p for p in sys.path if "site-packages" not in p and {str(ROOT)!r} not in p]
import turnout.rollout.handler as handler
assert handler.__file__.startswith({str(tmp_path)!r}), handler.__file__
from turnout.rollout.handler import Settings, compose
from turnout_components.rollout_spec import RolloutSpec
compose(Settings(service="s", stack="t", region="us-east-1", endpoint="http://127.0.0.1:9"))
from turnout_components.cluster_access import by_kubeconfig
from turnout_components.cluster_api import Unreachable
compose(Settings(service="s", stack="t", region="us-east-1", platform="eks", cluster="c"))
try:
    by_kubeconfig(kubeconfig={str(kubeconfig)!r}).get("Pod", "shop", "p")
    raise AssertionError("answered")
except Unreachable:
    pass
import botocore.session
session = botocore.session.get_session()
for service in {sorted(CALLED | ON_EKS)}:
    session.create_client(service, region_name="us-east-1")
import httpx
httpx.Client().close()
print(sorted(RolloutSpec().plan()[0]))
"""
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr


def test_the_archive_holds_neither_the_engine_nor_the_cloud_nor_what_is_compiled(archive: Path) -> None:
    names = zipfile.ZipFile(archive).namelist()
    tops = {name.split("/")[0] for name in names}
    assert not tops & {"pulumi", "pulumi_aws", "moto", "boto3", "envoy", "bin", "tests"}
    assert not [name for name in names if name.endswith(".pyc") or name.startswith(("turnout/cloud", "turnout/engine"))]
    assert "turnout/rollout/handler.py" in names
    assert "turnout_components/switch_record.py" in names


def test_the_same_files_make_the_same_bytes(installed: Path, tmp_path: Path) -> None:
    few = [(name, path) for name, path in contents(installed) if name.startswith(("turnout", "six"))]
    assert pack(iter(few), tmp_path / "a.zip") == pack(reversed(few), tmp_path / "b.zip")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_what_lambda_would_refuse_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "large").write_bytes(b"x" * 2000)
    monkeypatch.setattr(runner_archive, "UNZIPPED", 1999)
    with pytest.raises(ValueError, match="more than Lambda's"):
        pack(iter([("large", tmp_path / "large")]), tmp_path / "runner.zip")


def test_the_lock_decides_the_versions_for_lambda_s_python() -> None:
    found = requirements((ROOT / "requirements.lock").read_text())
    assert len(found) == len(PACKAGES)
    assert all("==" in line and "--hash=sha256:" in line for line in found)
    assert f"python{PYTHON}" == rollout_runner.RUNTIME
    newer = "numpy==2.0 ; python_full_version >= '3.12' \\\n    --hash=sha256:b\n"
    older = "numpy==1.0 ; python_full_version < '3.12' \\\n    --hash=sha256:a\n"
    others = "".join(f"{name}==1 \\\n    --hash=sha256:c\n" for name in PACKAGES if name != "numpy")
    assert "numpy==2.0 --hash=sha256:b" in requirements(newer + older + others)


def test_a_package_that_the_lock_has_not_is_named() -> None:
    with pytest.raises(LookupError, match="annotated-types, anyio"):
        requirements("numpy==2.0 \\\n    --hash=sha256:b\n")


def test_pip_installs_wheels_of_the_function_s_platform_by_hash_only(tmp_path: Path) -> None:
    found = pip_arguments(tmp_path / "r.txt", tmp_path / "t")
    assert {"--require-hashes", "--only-binary=:all:", "--no-deps"} <= set(found)
    assert all("aarch64" in found[at + 1] for at, word in enumerate(found) if word == "--platform")
    assert rollout_runner.ARCHITECTURE == "arm64"


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("botocore/data/elbv2/2015-12-01/service-2.json.gz", True),
        ("botocore/data/rds/2014-10-31/service-2.json.gz", False),
        ("botocore/data/endpoints.json", True),
        ("numpy/__pycache__/x.pyc", False),
        ("bin/httpx", False),
        ("httpx/__init__.py", True),
    ],
)
def test_what_is_packed(name: str, wanted: bool) -> None:
    assert is_wanted(Path(name)) is wanted
