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
REFUSED = {"upstream_rq_pending_failure_eject": 1, "upstream_cx_connect_fail": 1}
"""What Envoy counts of a request whose target refuses the connection."""
BOTH = {"TargetGroup": "targetgroup/blue/0123456789abcdef", **OWN}


def reading(times: dict[tuple[float, float], int] | None = None, elb_5xx: int = 0, **counters: int) -> Reading:
    cluster = cluster_name(BLUE)
    values = {f"cluster.{cluster}.{name}": value for name, value in counters.items()}
    values[f"http.{listener_name(LISTENER)}.downstream_rq_5xx"] = elb_5xx
    return Reading(values, {cluster: times or {}})


def values(data: list[Datum], dimensions: dict[str, str]) -> dict[str, float]:
    return {datum.name: datum.value for datum in data if datum.dimensions == dimensions}


def test_counts_are_of_the_period_and_by_balancer_and_target_group() -> None:
    before = reading(upstream_rq_total=10, upstream_rq_2xx=10)
    now = reading(upstream_rq_total=16, upstream_rq_2xx=14, upstream_rq_4xx=2)
    data = balancing(WORLD, {BLUE: {"i-1": "healthy", "i-2": "healthy", "i-3": "unhealthy"}}, before, now)
    assert values(data, BOTH) == {
        "HealthyHostCount": 2,
        "UnHealthyHostCount": 1,
        "RequestCount": 6,
        "HTTPCode_Target_2XX_Count": 4,
        "HTTPCode_Target_4XX_Count": 2,
        "RequestCountPerTarget": 3,
    }
    assert values(data, OWN) == {"RequestCount": 6, "HTTPCode_Target_2XX_Count": 4, "HTTPCode_Target_4XX_Count": 2}


def test_answers_that_envoy_gave_in_a_targets_place_count_as_the_balancers() -> None:
    now = reading(elb_5xx=7, upstream_rq_total=5, upstream_rq_5xx=6, upstream_cx_none_healthy=2, **REFUSED)
    data = balancing(WORLD, {BLUE: {}}, Reading(), now)
    assert values(data, BOTH) == {"RequestCount": 6, "HTTPCode_Target_5XX_Count": 3, "TargetConnectionErrorCount": 1}
    assert values(data, OWN)["HTTPCode_ELB_5XX_Count"] == 4


def test_requests_that_were_refused_with_one_connection_count_a_failure_each() -> None:
    now = reading(upstream_rq_pending_failure_eject=3, upstream_cx_connect_fail=1)
    counted = values(balancing(WORLD, {BLUE: {}}, Reading(), now), BOTH)
    assert counted == {"RequestCount": 3, "TargetConnectionErrorCount": 3}
    later = reading(upstream_rq_pending_failure_eject=4, upstream_cx_connect_fail=5)
    assert values(balancing(WORLD, {BLUE: {}}, now, later), BOTH) == {"RequestCount": 1, "TargetConnectionErrorCount": 4}


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


def test_response_times_are_those_of_the_period_spread_over_envoys_bins() -> None:
    before, now = {(12_000.0, 1_000.0): 5}, {(12_000.0, 1_000.0): 7, (200.0, 10.0): 40, (0.0, 0.0): 3}
    data = balancing(WORLD, {}, reading(before), reading(now))
    times = [datum for datum in data if datum.name == "TargetResponseTime"]
    assert [datum.dimensions for datum in times] == [BOTH, OWN]
    counts = times[0].counts
    assert counts == times[1].counts
    assert counts[0.01225] == counts[0.01275] == 1
    assert counts[0.0] == 3
    assert [round(value * 1e6, 3) for value in sorted(counts)[1:11]] == [200.5 + n for n in range(10)]
    assert sum(counts.values()) == 45


def test_a_counter_that_envoys_new_start_set_back_is_never_negative() -> None:
    before = reading({(10.0, 1.0): 50}, upstream_rq_total=100, upstream_rq_2xx=100)
    data = balancing(WORLD, {}, before, reading({(10.0, 1.0): 2}, upstream_rq_total=3, upstream_rq_2xx=3))
    assert values(data, BOTH)["RequestCount"] == 3
    assert sum(next(datum.counts for datum in data if datum.name == "TargetResponseTime").values()) == 2
