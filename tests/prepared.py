"""For tests: Python programs forked from a process that has imported what they need, which is most of their start. All else is
a program's own: standard streams, environment, folder, session."""

import functools
import importlib
import json
import os
import random
import select
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NoReturn, TextIO

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Forked:
    """A program that was forked for this process, which learns of its end by a line."""

    pid: int
    _answers: TextIO

    def wait(self) -> int:
        """Its exit status once it has ended; of a signal that ended it, the negative number."""
        with self._answers:
            return int(self._answers.readline())


@dataclass(frozen=True)
class Parent:
    """The process that programs are forked from, where it listens. It ends with the one that started it; programs do not."""

    address: str
    _lives: IO[bytes] | None = None

    def fork(
        self, module: str, words: Sequence[str], streams: tuple[int, int, int], environ: Mapping[str, str], folder: Path
    ) -> Forked:
        """`main()` of the module, which gives its exit status, with these words behind its name and these standard streams."""
        order = {"module": module, "words": list(words), "environ": dict(environ), "folder": str(folder)}
        with socket.socket(socket.AF_UNIX) as control:
            control.connect(self.address)
            socket.send_fds(control, [json.dumps(order).encode() + b"\n"], list(streams))
            answers = control.makefile("r")
        return Forked(int(answers.readline()), answers)


@functools.cache
def parent(*modules: str) -> Parent:
    """The process that has imported these, one for all below the process that began it; it begins at once, and what is asked
    before it has them waits."""
    name = f"TURNOUT_PREPARED_{zlib.crc32(' '.join(modules).encode())}"
    if name in os.environ:
        return Parent(os.environ[name])
    os.environ[name] = address = str(Path(tempfile.mkdtemp(prefix="turnout-")) / "prepared")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(16)
        command = [sys.executable, "-m", "tests.prepared", address, str(listener.fileno()), *modules]
        process = subprocess.Popen(command, pass_fds=[listener.fileno()], stdin=subprocess.PIPE, cwd=ROOT)
        process.wait()
    return Parent(address, process.stdin)


def _serve(address: str, listener: socket.socket, modules: Sequence[str]) -> None:
    """Not as a child of the process that began it: tests look for what is left of theirs."""
    if os.fork():
        os._exit(0)
    before = set(os.environ)
    for module in modules:
        importlib.import_module(module)
    imports_set = {name: value for name, value in os.environ.items() if name not in before}
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while listener in select.select([listener, 0], [], [])[0]:
        control, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            _watch(control, imports_set)
        control.close()
    Path(address).unlink()
    Path(address).parent.rmdir()


def _watch(control: socket.socket, imports_set: Mapping[str, str]) -> NoReturn:
    """Tells who asked of the program's start and end."""
    order, streams, _, _ = socket.recv_fds(control, 1 << 16, 3)
    while not order.endswith(b"\n"):
        order += control.recv(1 << 16)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    pid = os.fork()
    if pid == 0:
        control.close()
        _become(json.loads(order), streams, imports_set)
    for each in (0, *streams):
        os.close(each)
    try:
        control.sendall(b"%d\n" % pid)
        control.sendall(b"%d\n" % os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    finally:
        os._exit(0)


def _become(order: dict[str, object], streams: Sequence[int], imports_set: Mapping[str, str]) -> NoReturn:
    os.setsid()
    for place, source in enumerate(streams):
        os.dup2(source, place)
        os.close(source)
    os.environ.clear()
    os.environ.update(imports_set)
    os.environ.update(order["environ"])  # type: ignore[call-overload]
    os.chdir(str(order["folder"]))
    _import_from(Path(str(order["folder"])))
    random.seed()
    if moto := sys.modules.get("moto.moto_api._internal"):
        moto.mock_random.seed()
    sys.argv = [str(order["module"]), *order["words"]]  # type: ignore[misc]
    code = 1
    try:
        code = importlib.import_module(str(order["module"])).main()
    except Exception:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _import_from(folder: Path) -> None:
    """The folder comes first, then what the environment names; what the folder has of its own is imported anew."""
    sys.path[:1] = [str(folder), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    if folder != ROOT:
        own = {path.stem for path in folder.iterdir()} - {"__main__"}
        for name in [name for name in sys.modules if name.partition(".")[0] in own]:
            del sys.modules[name]


if __name__ == "__main__":
    _serve(sys.argv[1], socket.socket(fileno=int(sys.argv[2])), sys.argv[3:])
