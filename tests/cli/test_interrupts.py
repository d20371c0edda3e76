"""An interrupted command exits with its code, also when the interrupt came in the middle of an import."""

import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = """
import os, signal, sys
from turnout import interrupts
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where a shell has put the tests into its background
interrupts.install()
try:
    exec("import os, signal\\nos.kill(os.getpid(), signal.SIGINT)\\nwhile True: pass")
except KeyboardInterrupt as error:
    print(type(error).__name__)
sys.exit(130)
"""


@pytest.mark.parametrize(("installed", "code"), [(True, 130), (False, -2)])
def test_an_interrupt_within_exec_leaves_the_exit_code_alone(tmp_path: Path, installed: bool, code: int) -> None:
    """Without the handler CPython dies of the signal: when it no longer does, the handler can go."""
    text = COMMAND if installed else COMMAND.replace("interrupts.install()", "")
    (tmp_path / "command.py").write_text(text)
    done = subprocess.run([sys.executable, "-m", "command"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (code, "")
    assert done.stdout.strip() == ("Interrupted" if installed else "KeyboardInterrupt")
