"""Runs a smoke test's command against the candidate on the test listener."""

import os
import shlex
import string
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from turnout.rollout.actions import RunSmokeTest

TEST_HEADER = "x-turnout-environment"
_TOLD = 600
"""Characters of a failed test's output that are told."""


def run(test: RunSmokeTest, environment: str, url: str, folder: Path, environ: Mapping[str, str] = os.environ) -> str:
    """Why the test failed; "" where its command ended with 0. `$URL`, `$HEADER` and `$ENVIRONMENT` are filled in, in the
    command and in its process's environment; this Python comes first on its PATH."""
    known = {"URL": url, "HEADER": f"{TEST_HEADER}: {environment}", "ENVIRONMENT": environment}
    path = os.pathsep.join([str(Path(sys.executable).parent), environ.get("PATH", os.defpath)])
    words = [string.Template(word).safe_substitute(known) for word in shlex.split(test.command)]
    try:
        done = subprocess.run(
            words,
            cwd=folder,
            env={**environ, **known, "PATH": path},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=test.timeout.total_seconds(),
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"{test.command!r} did not end within {test.timeout.total_seconds():.0f} s"
    except OSError as error:
        return f"{test.command!r} cannot be run: {error.strerror}"
    if done.returncode == 0:
        return ""
    said = (done.stderr or done.stdout).strip()[-_TOLD:]
    return f"{test.command!r} ended with {done.returncode}: {said}"
