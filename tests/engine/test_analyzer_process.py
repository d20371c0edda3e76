"""A policy pack's process: never waited for without end, never left behind."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from packs import BODY, pack

from benchmarks.waiting import wait_for
from tests.running import running
from turnout.engine.analyzer import Analyzers, PackFailed
from turnout.engine.pack_process import PackProcess
from turnout.engine.plan import Goal
from turnout.engine.policy_packs import PackError, Policy, Setting, configured
from turnout.engine.program import Order

ORDER = Order("", "127.0.0.1:1", "proj", "dev", "organization", ".", {}, [], 1, True)
BLOCKING = """
    import time
    from pathlib import Path

    def look(args, report):
        if args.name == "b":
            Path("under-way").touch()
            while not Path("go-on").exists():
                time.sleep(0.02)

    PolicyPack("tiny", [ResourceValidationPolicy("look", "Look.", look)])
"""
SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, {here!r})
from conftest import Bench
from memory import MemoryCloud
from turnout.engine.policy_packs import PolicyPack
folder = Path({folder!r})
bench = Bench(folder, MemoryCloud(folder / "cloud.json"))
body = 'Thing("a", opts=on())\\nThing("b", opts=on())'
result = bench.up(body, policy_packs=[PolicyPack(folder / "pack")])
print(bench.said(), result.errors, flush=True)
sys.exit(result.exit_code)
"""


def engine(folder: Path) -> subprocess.Popen[str]:
    script = SCRIPT.format(here=str(Path(__file__).parent), folder=str(folder))
    root = Path(__file__).parents[2]
    return subprocess.Popen([sys.executable, "-c", script], cwd=root, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_an_engine_that_ends_takes_its_packs_with_it(tmp_path, how):
    """In the middle of a question: killed, or interrupted by SIGTERM or Ctrl-C, which end in order."""
    pack(tmp_path / "pack", BLOCKING)
    with engine(tmp_path) as process:
        try:
            wait_for("pack under way", (tmp_path / "pack" / "under-way").exists)
            children = psutil.Process(process.pid).children(recursive=True)
            assert any("launch_pack.py" in " ".join(each.cmdline()) for each in children)
            process.send_signal(how)
            wait_for("end of the pack", lambda: not running(children))
            output, _ = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == (-how if how == signal.SIGKILL else 130)
    if how != signal.SIGKILL:
        assert "interrupted" in output
        assert "Traceback" not in output
        assert "policy pack" not in output  # which is not to blame


def test_ctrl_c_while_a_pack_starts_is_an_interruption_and_no_fault_of_the_pack(tmp_path):
    pack(tmp_path / "pack", 'Path("under-way").touch()\ntime.sleep(600)', prelude="import time\nfrom pathlib import Path\n")
    with engine(tmp_path) as process:
        try:
            wait_for("pack under way", (tmp_path / "pack" / "under-way").exists)
            children = psutil.Process(process.pid).children(recursive=True)
            process.send_signal(signal.SIGINT)
            output, _ = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 130
    assert "policy pack" not in output
    assert not running(children)


def test_a_pack_that_says_no_port_is_given_up(tmp_path):
    hanging = pack(tmp_path / "hanging", "import time; time.sleep(600)", prelude="")
    process = PackProcess(hanging.folder, os.environ, "127.0.0.1:1", print, patience=0.5)
    with pytest.raises(PackError, match=r"does not start: it has said no port for 0.5 s"):
        process.port()
    process.close()
    assert not psutil.pid_exists(process.pid)
    process.close()


def test_what_a_pack_has_started_ends_with_it(bench, tmp_path):
    """It would hold the pack's streams, and the engine would wait for their end."""
    started = "import subprocess, pathlib\nchild = subprocess.Popen(['sleep', '300'])\n"
    body = f"{started}pathlib.Path({str(tmp_path / 'pid')!r}).write_text(str(child.pid))\n{BODY}"
    began = time.monotonic()
    assert bench.preview('Thing("a", size=1, opts=on())', policy_packs=[pack(tmp_path / "tiny", body)]).exit_code == 0
    assert time.monotonic() - began < 20
    with suppress(psutil.NoSuchProcess):
        child = psutil.Process(int((tmp_path / "pid").read_text()))
        assert child.status() == psutil.STATUS_ZOMBIE or child.wait(5) is None  # which raises while it lives


def test_a_policy_that_never_ends_is_given_up(tmp_path):
    analyzers = Analyzers([pack(tmp_path / "endless", BLOCKING)], ORDER, lambda *_: None, patience=3)
    try:
        analyzers.open()
        assert analyzers.analyze(Goal("urn::a", "t", "a", True, {}), {}, None) == []
        with pytest.raises(PackFailed, match="policy pack tiny failed at b: no answer for 3 s"):
            analyzers.analyze(Goal("urn::b", "t", "b", True, {}), {}, None)
    finally:
        analyzers.close()


def test_a_pack_sees_its_own_folder_and_not_the_engines(tmp_path):
    """Modules beside `__main__.py` are found, those of the engine (`events`, `state`, …) are not in the way."""
    prelude = (
        "import rules\ntry:\n    import policy_packs\nexcept ModuleNotFoundError:\n    pass\nelse:\n    raise SystemExit(5)\n"
    )
    whole = pack(tmp_path / "whole", "rules.serve()", prelude=prelude)
    (whole.folder / "rules.py").write_text(
        "from pulumi_policy import *\n\ndef serve():\n"
        '    PolicyPack("whole", [ResourceValidationPolicy("x", "X.", lambda args, report: None)])\n'
    )
    analyzers = Analyzers([whole], ORDER, lambda *_: None)
    try:
        analyzers.open()
        assert analyzers.versions == {"whole": "1.2.0"}
    finally:
        analyzers.close()


LIMITED = Policy("size", "mandatory", {"properties": {"limit": {"type": "integer", "default": 10}, "of": {"enum": ["a", "b"]}}})


def test_the_file_comes_before_the_pack_and_a_policy_before_all():
    """ "Configuring policy packs"."""
    policies = [LIMITED, Policy("color", "advisory")]
    own = {"all": Setting("disabled"), "size": Setting("advisory", {"limit": 5})}
    given = {"all": Setting("mandatory"), "size": Setting("", {"of": "b"})}
    assert configured(policies, {}, {}, "p") == {"size": Setting("mandatory", {"limit": 10}), "color": Setting("advisory")}
    assert configured(policies, own, {}, "p") == {"size": Setting("advisory", {"limit": 5}), "color": Setting("disabled")}
    assert configured(policies, own, given, "p") == {
        "size": Setting("mandatory", {"limit": 5, "of": "b"}),
        "color": Setting("mandatory"),
    }


@pytest.mark.parametrize(
    ("properties", "said"),
    [
        ({"limit": "ten"}, 'limit is "ten": it must be of type integer'),
        ({"limit": True}, "limit is true: it must be of type integer"),
        ({"limit": 1.5}, "limit is 1.5: it must be of type integer"),
        ({"of": "c"}, 'of is "c": it must be one of a, b'),
    ],
)
def test_what_does_not_fit_the_schema_is_named(properties, said):
    with pytest.raises(PackError, match=said):
        configured([LIMITED], {}, {"size": Setting("", properties)}, "p")


def test_all_faults_of_a_configuration_are_named_at_once():
    wanting = Policy("wanting", "mandatory", {"required": ["key"]})
    with pytest.raises(PackError) as raised:
        configured([LIMITED, wanting], {}, {"size": Setting("remediate")}, "p")
    assert str(raised.value).splitlines()[1:] == [
        "size: the level remediate is not run by the local engine (not Pulumi): make it mandatory, advisory or disabled",
        "wanting: key is required",
    ]
    assert configured([LIMITED], {}, {"size": Setting("", {"limit": 3.0})}, "p")["size"].properties == {"limit": 3.0}
