import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "components"))

from stack_config import MANIFEST, write  # the folder is on the path only now


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "releases").mkdir()
    write(tmp_path, MANIFEST)
    return tmp_path
