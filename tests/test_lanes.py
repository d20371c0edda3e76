"""What runs where, and who has the processor."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lanes import place, scope


def test_lanes_begin_first_and_providers_come_last() -> None:
    folders = ["providers", "digits", "kubernetes", "rollout", "e2e", "cloud"]

    assert sorted(folders, key=place) == ["e2e", "cloud", "kubernetes", "rollout", "digits", "providers"]


def test_a_worker_has_all_of_a_lane_and_a_file_of_others() -> None:
    assert scope("tests/kubernetes/test_build.py") == "tests/kubernetes"
    assert scope("tests/engine/test_plan.py") == "tests/engine/test_plan.py"


@pytest.mark.parametrize(("folder", "wanted"), [("e2e", 0), ("engine", 0), ("cloud", 2), ("kubernetes", 8)])
def test_a_service_under_load_gives_way_to_nobody(folder: str, wanted: int, tmp_path: Path) -> None:
    (tmp_path / folder).mkdir()
    test = f"import os\ndef test_it():\n    assert os.nice(0) == {max(os.nice(0), wanted)}\n"
    (tmp_path / folder / "test_it.py").write_text(test)
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-q", "-n", "1", str(tmp_path)]
    alone = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    root = Path(__file__).parent.parent

    done = subprocess.run(command, cwd=root, env=alone, capture_output=True, text=True, check=False, timeout=100)

    assert done.returncode == 0, done.stdout + done.stderr
