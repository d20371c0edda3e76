"""What a node publishes from its server's page of metrics."""

import pytest

from turnout.cloud.node_metrics import NodeNumbers, parse, published, scrape

VLLM = """# HELP vllm:num_requests_waiting Number of requests waiting to be processed.
# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{model_name="a"} 3.0
vllm:num_requests_waiting{model_name="b"} 4.0 1700000000000
vllm:num_requests_running{model_name="a"} 2.0
vllm:num_requests_running_total{model_name="a"} 90.0
"""


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        (VLLM, NodeNumbers(7, 2)),
        ("llamacpp:requests_deferred 5\nllamacpp:requests_processing 1\n", NodeNumbers(5, 1)),
        ("turnout_requests_waiting 0\nturnout_requests_running 0\nturnout_gpu_utilization 40\n", NodeNumbers(0, 0, 40)),
        ('turnout_gpu_utilization{gpu="0"} 40\nturnout_gpu_utilization{gpu="1"} 60\n', NodeNumbers(None, None, 50)),
        ("digits_requests_in_flight 4\n", NodeNumbers()),
        ("turnout_requests_waiting NaN\nturnout_requests_running what\n", NodeNumbers()),
        ("<html>not found</html>", NodeNumbers()),
    ],
)
def test_the_gauges_of_each_server(page: str, expected: NodeNumbers) -> None:
    assert parse(page) == expected


def values(numbers: NodeNumbers, processor: float | None) -> dict[str, float]:
    data = published("eu-west-1", "g", numbers, processor)
    assert {(datum.namespace, datum.region, tuple(datum.dimensions.items())) for datum in data} <= {
        ("Turnout", "eu-west-1", (("AutoScalingGroupName", "g"),))
    }
    return {datum.name: datum.value for datum in data}


def test_what_is_not_known_is_not_published() -> None:
    assert values(NodeNumbers(), None) == {}
    assert values(NodeNumbers(pending=0), None) == {"PendingRequests": 0}


def test_a_processor_stands_for_the_gpu_where_there_is_none() -> None:
    assert values(NodeNumbers(0, 1, 12), 80) == {"PendingRequests": 0, "RunningRequests": 1, "GPUUtilization": 12}
    assert values(NodeNumbers(0, 1), 180) == {"PendingRequests": 0, "RunningRequests": 1, "GPUUtilization": 100}


def test_a_server_that_does_not_answer_is_left_out() -> None:
    assert scrape({"i-1": ("127.0.0.1", 1)}) == {}
    assert scrape({}) == {}
