"""Command line of the generator; its conventions are those of `examples.loading.command`."""

import argparse
import asyncio
import gc
import resource
import sys
from pathlib import Path

import numpy as np
import uvloop

from examples.digits.load.client import Pool
from examples.digits.load.generator import Generator
from examples.digits.load.schedule import Plan, heldout
from examples.loading.command import driven, loopback, number, output_arguments, write_result
from examples.loading.feedback import Feedback, feedback_arguments

HELDOUT = Path(__file__).parent.parent / "heldout.npz"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m examples.digits.load", description="Open-loop load for the digits service: fixed schedule, no retries."
    )
    parser.add_argument("--url", type=loopback, required=True, help="the service, on a loopback address")
    parser.add_argument("--rate", type=number(0.1, 20000), required=True, help="requests a second")
    parser.add_argument("--seconds", type=number(0.01, 86400), help="length of the schedule (default: until stopped)")
    parser.add_argument("--slow-share", type=number(0, 1), default=0.05, help="share of requests that take a second")
    parser.add_argument("--new-connection-share", type=number(0, 1), default=0.2, help="share on a connection of their own")
    parser.add_argument("--sticky-share", type=number(0, 1), default=0.0, help="share sent by clients that keep cookies")
    parser.add_argument("--sticky-clients", type=number(1, 10000), default=20, help="how many clients keep cookies")
    parser.add_argument("--poisson", action="store_true", help="exponential gaps instead of equal ones")
    parser.add_argument("--seed", type=int, default=1, help="seed of the schedule")
    parser.add_argument("--timeout", type=number(0.1, 600), default=10.0, help="seconds after which an answer is lost")
    parser.add_argument("--rows", type=Path, help="file (.npz) for the columns of all requests")
    feedback_arguments(parser)
    output_arguments(parser)
    return parser.parse_args()


async def run(args: argparse.Namespace) -> dict[str, object]:
    images, labels = heldout(HELDOUT)
    plan = Plan(
        args.rate,
        args.seconds,
        args.slow_share,
        args.new_connection_share,
        args.poisson,
        args.seed,
        args.sticky_share,
        int(args.sticky_clients),
    )
    pool = Pool(args.url.hostname, args.url.port, args.timeout)
    path = (args.url.path.rstrip("/") or "") + "/v1/predict"
    feedback = None
    if args.feedback is not None:
        feedback = await Feedback.start(args.feedback, args.feedback_service, args.feedback_region)
    generator = Generator(pool, plan, args.url.netloc, path, images, labels, feedback.note if feedback else None)
    gc.freeze()
    await driven(generator, args.interval if args.progress else None)
    published = {"feedback": await feedback.close()} if feedback else {}
    if args.rows is not None:
        rows, versions = generator.record.rows()._asdict(), np.array(generator.record.releases.names)
        np.savez(args.rows, **rows, client=np.array(generator.clients), versions=versions)
    return {"url": f"http://{args.url.netloc}", **generator.result(), **published}


def main() -> int:
    args = arguments()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        result = runner.run(run(args))
    write_result(result, args.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
