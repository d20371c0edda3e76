"""`python -m turnout.cluster`: the local cloud's daemon with a cluster beside the account."""

import sys

from turnout.cloud.__main__ import parser, serve


def main() -> int:
    """The account and a cluster."""
    from turnout.cluster.local import PLATFORMS, LocalCluster

    words = parser("python -m turnout.cluster")
    words.add_argument("--platform", choices=PLATFORMS, required=True)
    words.add_argument("--load-balancer-controller", action="store_true", help="itself, in its stand-in's place (eks)")
    options = words.parse_args()
    return serve(options, lambda tools: LocalCluster(tools, options.platform, options.load_balancer_controller))


if __name__ == "__main__":
    sys.exit(main())
