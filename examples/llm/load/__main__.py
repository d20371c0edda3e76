"""Command line of the users; its conventions are those of `examples.loading.command`."""

import argparse
import asyncio
import itertools
import json
import sys
from pathlib import Path

from examples.llm.load.asks import asks, questions
from examples.llm.load.generator import Users
from examples.loading.command import driven, loopback, number, output_arguments, write_result


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m examples.llm.load", description="Streams from the language model: so many at a time, no retries."
    )
    parser.add_argument("--url", type=loopback, required=True, help="the service, on a loopback address")
    parser.add_argument("--users", type=int, default=2, help="streams at a time")
    parser.add_argument("--pause", type=number(0, 60), default=0.1, help="seconds between two streams of a user")
    parser.add_argument("--long-share", type=number(0, 1), default=0.25, help="share of requests for a long answer")
    parser.add_argument("--long-tokens", type=int, default=120, help="tokens of a long answer at most")
    parser.add_argument("--judge", action="store_true", help="ask every question once and end")
    parser.add_argument("--seed", type=int, default=1, help="seed of the choice of questions")
    parser.add_argument("--timeout", type=number(0.1, 600), default=30.0, help="seconds without a byte that lose an answer")
    parser.add_argument("--rows", type=Path, help="file (.json) for every stream's times and end")
    output_arguments(parser)
    return parser.parse_args()


async def run(args: argparse.Namespace) -> dict[str, object]:
    plan = iter(questions()) if args.judge else asks(args.seed, args.long_share, args.long_tokens)
    url = f"http://{args.url.netloc}{args.url.path}"
    users = Users(url, itertools.chain(plan), args.users, args.pause, args.timeout)
    await driven(users, args.interval if args.progress else None)
    if args.rows is not None:
        args.rows.write_text(json.dumps(users.rows()) + "\n")
    return users.result(url=url, long_share=args.long_share, long_tokens=args.long_tokens, seed=args.seed)


def main() -> int:
    args = arguments()
    write_result(asyncio.run(run(args)), args.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
