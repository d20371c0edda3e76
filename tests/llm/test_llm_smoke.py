"""The smoke test: every question asked of one environment, by its header."""

import asyncio
import json
import subprocess
import sys

from tests.llm.conftest import ROOT, Breaking


async def test_it_asks_one_environment_and_says_who_answered(breaking: Breaking) -> None:
    breaking.behaviour = lambda n: "refuse" if n == 3 else "whole"
    command = [sys.executable, "-m", "examples.llm.smoke", "--url", breaking.url, "--environment", "green"]
    done = await asyncio.to_thread(subprocess.run, command, cwd=ROOT, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert (found["environment"], found["versions"]) == ("green", ["1.0.0"])
    assert (found["asked"], found["answered"]) == (15, 14)
    assert 0 < found["accuracy"] < 0.2
    assert 0 < found["ttft_p95_ms"] <= found["p95_ms"]
    assert breaking.environments == {"green"}
