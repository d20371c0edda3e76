"""A smoke test of one environment: `python -m examples.llm.smoke --url URL --environment green` prints what it found.

Every question once, one after the other; the header reaches an environment that has no users.
"""

import argparse
import asyncio
import json
import sys
from typing import Any

from examples.llm.load.asks import questions
from examples.llm.load.generator import Users
from examples.loading.command import loopback

HEADER = "x-turnout-environment"
QUESTIONS = 15


async def smoke(url: str, environment: str) -> dict[str, Any]:
    """Answers `environment`, `versions`, `asked`, `answered`, `accuracy`, `p95_ms`, `ttft_p95_ms` and `tpot_p50_ms`."""
    asked = questions()[::2][:QUESTIONS]
    users = Users(url, iter(asked), users=1, headers={HEADER: environment})
    await users.run()
    found = users.result()
    answered = found["requests_sent"] - found["requests_lost"]
    return {
        "environment": environment,
        "versions": sorted(found["digests"]),
        "asked": len(asked),
        "answered": answered,
        "accuracy": users.record.rows().accuracy(),
        "p95_ms": found["phases"]["load"]["fast"]["p95_ms"],
        "ttft_p95_ms": found["streams"]["ttft"]["p95_ms"],
        "tpot_p50_ms": found["streams"]["tpot"]["p50_ms"],
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m examples.llm.smoke", description="Ask one environment.")
    parser.add_argument("--url", type=loopback, required=True, help="the test listener, on a loopback address")
    parser.add_argument("--environment", required=True)
    args = parser.parse_args()
    print(json.dumps(asyncio.run(smoke(f"http://{args.url.netloc}", args.environment))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
