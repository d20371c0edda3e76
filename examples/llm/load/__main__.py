"""Command line of the users; its conventions are those of `examples.loading.command`."""

import argparse
import asyncio
import itertools
import json
import os
import sys
from pathlib import Path

from examples.llm.load.asks import asks, questions
from examples.llm.load.generator import Users
from examples.loading.command import driven, loopback, number


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
    parser.add_argument("--out", type=Path, help="file for the results (default: stdout, at the end)")
    parser.add_argument("--rows", type=Path, help="file (.json) for every stream's times and end")
    parser.add_argument("--progress", action="store_true", help="a JSON line on stdout every --interval seconds")
    parser.add_argument("--interval", type=number(0.05, 60), default=0.25, help="seconds between progress lines")
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
    text = json.dumps(asyncio.run(run(args)), indent=1)
    if args.out is None:
        os.set_blocking(sys.stdout.fileno(), True)
        print(text)
    else:
        args.out.write_text(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
