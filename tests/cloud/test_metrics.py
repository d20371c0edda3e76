"""CloudWatch's numbers from two readings of Envoy."""

from cloud_worlds import BLUE, GREEN, LISTENER, group

from turnout.cloud.envoy_routes import cluster_name, listener_name
from turnout.cloud.metrics import Datum, Reading, balancing, scaling
from turnout.cloud.world import Balancer, Forward, Group, Listener, Rule, World

BALANCER = "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/app/web/aaaa"
WORLD = World(
    (Balancer(BALANCER, "web", "us-east-1", 60, (Listener(LISTENER, 80, "HTTP", (Rule("r", (), Forward(((BLUE, 1),))),)),)),),
    (group(BLUE), group(GREEN)),
)
OWN = {"LoadBalancer": "app/web/aaaa"}
BOTH = {"TargetGroup": "targetgroup/blue/0123456789abcdef", **OWN}


def reading(seconds: float = 0, count: int = 0, elb_5xx: int = 0, **counters: int) -> Reading:
    cluster = cluster_name(BLUE)
    values = {f"cluster.{cluster}.{name}": value for name, value in counters.items()}
    values[f"http.{listener_name(LISTENER)}.downstream_rq_5xx"] = elb_5xx
    return Reading(values, {cluster: (seconds * 1000, count)})


def values(data: list[Datum], dimensions: dict[str, str]) -> dict[str, float]:
    return {datum.name: datum.value for datum in data if datum.dimensions == dimensions}


def test_counts_are_of_the_period_and_by_balancer_and_target_group() -> None:
    before = reading(1, 10, upstream_rq_total=10, upstream_rq_2xx=10)
    now = reading(2, 14, upstream_rq_total=16, upstream_rq_2xx=14, upstream_rq_4xx=2)
    data = balancing(WORLD, {BLUE: {"i-1": "healthy", "i-2": "healthy", "i-3": "unhealthy"}}, before, now)
    assert values(data, BOTH) == {
        "HealthyHostCount": 2,
        "UnHealthyHostCount": 1,
        "RequestCount": 6,
        "HTTPCode_Target_2XX_Count": 4,
        "HTTPCode_Target_4XX_Count": 2,
        "RequestCountPerTarget": 3,
        "TargetResponseTime": 0.25,
    }
    assert values(data, OWN) == {"RequestCount": 6, "HTTPCode_Target_2XX_Count": 4, "HTTPCode_Target_4XX_Count": 2}


def test_answers_that_envoy_gave_in_a_targets_place_count_as_the_balancers() -> None:
    now = reading(
        elb_5xx=7, upstream_rq_total=5, upstream_rq_5xx=6, upstream_cx_none_healthy=2, upstream_rq_pending_failure_eject=1
    )
    data = balancing(WORLD, {BLUE: {}}, Reading(), now)
    assert values(data, BOTH) == {"RequestCount": 5, "HTTPCode_Target_5XX_Count": 3}
    assert values(data, OWN)["HTTPCode_ELB_5XX_Count"] == 4


def test_requests_per_target_are_0_and_not_missing_while_no_request_flows() -> None:
    data = balancing(WORLD, {BLUE: {"i-1": "healthy"}}, reading(), reading())
    assert values(data, BOTH) == {"HealthyHostCount": 1, "UnHealthyHostCount": 0, "RequestCountPerTarget": 0}
    assert "RequestCountPerTarget" not in values(balancing(WORLD, {BLUE: {"i-1": "initial"}}, reading(), reading()), BOTH)


def test_nothing_is_reported_while_no_request_flows() -> None:
    assert balancing(WORLD, {}, reading(), reading()) == []


def test_group_metrics_are_those_that_the_group_enabled() -> None:
    on = Group("g", "us-east-1", 1, 5, 2, {"i-1": ""}, ("GroupInServiceInstances", "GroupDesiredCapacity"))
    off = Group("h", "us-east-1", 1, 5, 2, {"i-2": ""})
    found = {(datum.dimensions["AutoScalingGroupName"], datum.name): datum.value for datum in scaling((on, off))}
    assert found == {("g", "GroupDesiredCapacity"): 2, ("g", "GroupInServiceInstances"): 1}
