"""For tests: small accounts as the pure parts see them."""

from turnout.cloud.world import Balancer, Check, Forward, Listener, Rule, TargetGroup, World

CHECK = Check("/ready", 5, 2, healthy_threshold=3, unhealthy_threshold=2, matcher="200")
ARN = "arn:aws:elasticloadbalancing:us-east-1:123456789012:"
BLUE, GREEN = (f"{ARN}targetgroup/{name}/0123456789abcdef" for name in ("blue", "green"))
LISTENER = f"{ARN}listener/app/web/aaaa/bbbb"
TG = BLUE


def group(arn: str, algorithm: str = "round_robin") -> TargetGroup:
    """A target group without targets."""
    return TargetGroup(arn, arn.split("/")[1], "us-east-1", 8000, CHECK, 30, algorithm, ())


def world(*targets: str, used: bool = True, stopped: frozenset[str] = frozenset(), delay: float = 30) -> World:
    """A target group with these targets, behind a listener at weight 0 (`used`) or behind none."""
    blue = TargetGroup(TG, "blue", "us-east-1", 8000, CHECK, delay, "round_robin", targets, stopped)
    rule = Rule("r", (), Forward(((TG, 0),) if used else ()))
    return World((Balancer("lb", "web", "us-east-1", 60, (Listener("l", 80, "HTTP", (rule,)),)),), (blue,))
