"""A smoke test of one environment: `python -m examples.digits.smoke --url URL --environment green` prints what it found,
and ends with 1 where a request was not answered.

One held-out image after the other on one connection; the header reaches an environment that has no users.
"""

import argparse
import http.client
import json
import sys
import time
from typing import Any
from urllib.parse import SplitResult

from examples.digits.load.__main__ import HELDOUT
from examples.digits.load.schedule import heldout
from examples.loading.command import loopback

HEADER = "x-turnout-environment"
IMAGES = 100


def smoke(url: SplitResult, environment: str) -> dict[str, Any]:
    """Answers `environment`, `versions`, `asked`, `answered`, `accuracy` and `p95_ms`.

    Raises `OSError`, `http.client.HTTPException`, `ValueError`."""
    connection = http.client.HTTPConnection(str(url.hostname), url.port, timeout=10)
    headers = {"Content-Type": "application/json", HEADER: environment}
    images, labels = (part[:IMAGES] for part in heldout(HELDOUT))
    times: list[float] = []
    versions: set[str] = set()
    right = 0
    for image, label in zip(images, labels, strict=True):
        began = time.perf_counter()
        connection.request("POST", "/v1/predict", json.dumps({"image": image}), headers)
        response = connection.getresponse()
        body = response.read()
        if response.status != 200:
            continue
        times.append(time.perf_counter() - began)
        answer = json.loads(body)
        versions.add(answer["version"])
        right += answer["digit"] == label
    connection.close()
    return {
        "environment": environment,
        "versions": sorted(versions),
        "asked": len(labels),
        "answered": len(times),
        "accuracy": round(right / len(times), 4) if times else None,
        "p95_ms": round(sorted(times)[int(0.95 * (len(times) - 1))] * 1000, 2) if times else None,
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m examples.digits.smoke", description="Ask one environment.")
    parser.add_argument("--url", type=loopback, required=True, help="the test listener, on a loopback address")
    parser.add_argument("--environment", required=True)
    args = parser.parse_args()
    try:
        found = smoke(args.url, args.environment)
    except (OSError, http.client.HTTPException, ValueError) as error:
        print(f"the smoke test of {args.environment} at {args.url.netloc} failed: {error!r}", file=sys.stderr)
        return 1
    print(json.dumps(found))
    return int(found["answered"] < found["asked"])


if __name__ == "__main__":
    sys.exit(main())
