"""Publishes what a load generator knows of the answers' quality, once a second, without holding the load up.

The generator counts; a process of its own (`python -m examples.loading.feedback`) talks to CloudWatch's API, so that neither
a slow endpoint nor the work of a request can delay what is to be sent. Each line of its stdin is a list of `Score`s; at the
end of stdin it prints what became of them.
"""

import argparse
import asyncio
import json
import signal
import sys
import time
from collections import Counter
from typing import Any, Self
from urllib.parse import SplitResult

from turnout_components.clients import aws_client
from turnout_components.feedback import Score, publish

from examples.loading.command import loopback

INTERVAL = 1.0
_WAITING_AT_MOST = 65536
_KEPT_AT_MOST = 10_000
_READY_TIMEOUT = 30.0
_END_TIMEOUT = 5.0
_READY = b"ready\n"


def feedback_arguments(parser: argparse.ArgumentParser) -> None:
    """Where feedback goes."""
    parser.add_argument("--feedback", type=loopback, metavar="URL", help="CloudWatch's API on a loopback address, for scores")
    parser.add_argument("--feedback-service", default="digits", help="value of the metric's dimension Service")
    parser.add_argument("--feedback-region", default="us-east-1", help="region that the metric is in")


class Feedback:
    """Counts scores and hands them to the publisher every second. `clock`: seconds since 1970.

    What the publisher does not take in waits, each score with its second; where too much waits, the rest is dropped and
    counted: feedback that is missing must not look like bad answers, nor grow for ever."""

    def __init__(self, process: asyncio.subprocess.Process, clock: Any = time.time) -> None:
        assert process.stdin is not None
        self._process, self._stdin, self._clock = process, process.stdin, clock
        self._counts: Counter[tuple[str, int, float]] = Counter()
        self._dropped = 0
        self._ticking = asyncio.create_task(self._tick())

    @classmethod
    async def start(cls, endpoint: SplitResult, service: str, region: str) -> Self:
        """The publisher is up when this returns: its start takes nothing from the load.

        Raises `RuntimeError` when it does not come up."""
        pipe = asyncio.subprocess.PIPE
        command = (sys.executable, "-m", __name__, f"http://{endpoint.netloc}", service, region)
        process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
        assert process.stdout is not None
        try:
            said = await asyncio.wait_for(process.stdout.readline(), _READY_TIMEOUT)
        except TimeoutError:
            said = b""
        if said != _READY:
            await _end(process)
            raise RuntimeError(f"the publisher of feedback to http://{endpoint.netloc} does not start; its error is above")
        return cls(process)

    def note(self, release: str, score: float) -> None:
        """An answer of `release` (digest) has come in, and was as good as `score`."""
        key = (release, int(self._clock()), score)
        if key in self._counts or len(self._counts) < _KEPT_AT_MOST:
            self._counts[key] += 1
        else:
            self._dropped += 1

    async def close(self) -> dict[str, Any]:
        """Hands over the rest and waits, not for ever: how many scores were `published`, how many `failed` and with which
        `error`."""
        self._ticking.cancel()
        try:
            self._hand_over()
            self._stdin.close()
            output, _ = await asyncio.wait_for(self._process.communicate(), _END_TIMEOUT)
            ended: dict[str, Any] = json.loads(output)
        except (TimeoutError, OSError, ValueError):
            await _end(self._process)
            return {"published": None, "failed": None, "error": "the publisher did not end by itself"}
        return {**ended, "failed": ended["failed"] + self._dropped}

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(INTERVAL)
            if self._stdin.transport.get_write_buffer_size() < _WAITING_AT_MOST:
                self._hand_over()

    def _hand_over(self) -> None:
        if self._counts and not self._stdin.is_closing():
            scores = [[release, at, score, answers] for (release, at, score), answers in self._counts.items()]
            self._counts.clear()
            self._stdin.write(json.dumps(scores).encode() + b"\n")


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.kill()
    await process.wait()


def main(endpoint: str, service: str, region: str) -> int:
    """The publisher: a bad minute of CloudWatch costs that minute's scores, and is counted."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is for the generator, which closes stdin when it is done
    loopback(endpoint)
    client = aws_client("cloudwatch", region, endpoint)
    print("ready", flush=True)
    result: dict[str, Any] = {"published": 0, "failed": 0, "error": None}
    for line in sys.stdin:
        scores = [Score(*fields) for fields in json.loads(line)]
        try:
            result["published"] += publish(client, service, scores)
        except Exception as error:  # whatever the API or the connection says: the load goes on
            result["failed"] += sum(score.answers for score in scores)
            result["error"] = f"{type(error).__name__}: {error}"
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
