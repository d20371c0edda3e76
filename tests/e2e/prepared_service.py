"""For tests: a stack's service on a local cloud whose start is prepared."""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from benchmarks.service import Service, service
from tests import prepared_program
from tests.cloud import prepared_cloud


def prepared_service(home: Path, **options: Any) -> AbstractContextManager[Service]:
    """As `service`, begun sooner; so are its programs."""
    prepared_program.parent()
    return service(home, start=prepared_cloud.start, **options)
