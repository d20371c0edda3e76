"""Pool, secrets and scaling in a stack's config: what AWS or a node would refuse is a line with field, value and fix."""

import warnings

import pytest
from stack_config import fault, faults, read


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"network__endpoints": ["com.amazonaws.us-east-1.s3"]}, "network.endpoints = "),
        ({"network__flow_logs": {"retention_days": 8}}, "network.flow_logs.retention_days = 8: is no time for which"),
        ({"ingress__access_logs": {"bucket": "logs", "prefix": "AWSLogs"}}, "ingress.access_logs.prefix = "),
        ({"ingress__record": {"zone_id": "Z0123456789", "name": "no name"}}, "ingress.record.name = "),
        ({"ingress": {"protocol": "tcp"}}, 'ingress.protocol = "tcp": is not carried by the local cloud'),
        ({"ingress__alpn_policy": "HTTP2Only"}, 'ingress.alpn_policy = "HTTP2Only": is not of a load balancer for http'),
        ({"traffic__standby__warm_minimum": 3}, "traffic.standby.warm_minimum = 3: is above pool.maximum 2"),
        ({"traffic__gate_timeout": "0s"}, 'traffic.gate_timeout = "0s": leaves no time to become ready'),
        ({"scaling": {"step": {"pendng": 3}}}, "scaling.step.pendng = 3: is no setting; did you mean pending?"),
        ({"pool__instance_types": ["g6.xlarge"]}, "pool.instance_types = "),
        ({"pool__warm_pool": {}, "pool__on_demand_percent": 50}, "pool.warm_pool = "),
        ({"pool__warm_pool": {"state": "hibernated"}}, 'pool.warm_pool.state = "hibernated": is not there for'),
        ({"pool__capacity_block_id": "cr-0a1b2c3d4e5f60718"}, "pool.capacity_block_id = "),
        ({"pool__efa": True, "pool__instance_type": "p5.48xlarge"}, "pool.efa = true: stays in one zone, the pool is in 2; "),
        (
            {"pool__zone": "us-east-1f"},
            'pool.zone = "us-east-1f": is none of network.zones; name one of us-east-1a, us-east-1b',
        ),
        ({"pool__boot": {"modell": 3}}, "pool.boot.modell = 3.0: is no stage of a boot"),
        ({"secrets__references": {"KEY": "hunter2"}}, 'secrets.references.KEY = "(not shown)": is no reference to a secret'),
        ({"secrets__references": {"KEY": "vault:a#b"}}, "secrets.vault = (nothing): names no Vault"),
        ({"secrets__rotation": {"lambda_arn": "x"}, "secrets__names": ["KEY"]}, "secrets.rotation.lambda_arn = "),
        ({"secrets__names": ["PORT"]}, 'secrets.names.PORT = "PORT": is a variable that the node sets itself'),
        ({"secrets__recovery_window_days": 3}, "secrets.recovery_window_days = 3: is no recovery window"),
        ({"scaling__schedules": [{"name": "m", "cron": "0 8 * *", "minimum": 1}]}, "scaling.schedules[0].cron = "),
        (
            {"scaling__schedules": [{"name": "m", "cron": "0 8 * * *", "minimum": 9}]},
            "scaling.schedules[0].minimum = 9: is above",
        ),
        ({"scaling__step": {"idle_gpu": 90}}, "scaling.step.idle_gpu = 90.0: overlaps step.gpu"),
        (
            {"scaling__step": {"missing_data": "breaching"}},
            'scaling.step.missing_data = "breaching": lets minutes without data',
        ),
    ],
)
def test_what_aws_refuses_of_pool_secrets_and_scaling_is_a_fault(root, changes, line):
    assert fault(root, **changes).startswith(f"turnout:{line}")


def test_what_is_judged_puts_no_librarys_warning_before_the_users_lines(root):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read(root, secrets__names=["KEY"], seeds={"KEY": "hunter2"}).service == "llm"


@pytest.mark.parametrize("seeds", ["hunter2", {"OTHER": "hunter2"}, {"KEY": ["hunter2"]}, {"KEY": {"a": "hunter2"}}])
def test_no_fault_shows_the_value_of_a_seed(root, seeds):
    lines = faults(root, secrets__names=["KEY"], seeds=seeds)
    assert [line for line in lines if line.startswith("turnout:seeds")]
    assert "hunter2" not in "".join(lines)


def test_the_boot_of_the_local_cloud_is_no_setting_of_aws(root):
    assert "AWS takes what it takes" in fault(root, cloud="aws", ingress__allowed_cidrs=[], pool__boot={"model": 3.0})


def test_a_pool_in_one_zone_may_have_what_needs_one(root):
    pool = {"instance_type": "p5.48xlarge", "efa": True, "zone": "us-east-1b"}
    assert read(root, pool=pool).pool.efa


def test_a_port_that_redirects_is_no_other_listeners(root):
    tls = "arn:aws:acm:us-east-1:123456789012:certificate/1"
    line = fault(root, ingress={"port": 443, "certificate_arn": tls, "redirect_port": 443})
    assert line.startswith("turnout:ingress.redirect_port = 443: is the users' port too")
    assert read(root, ingress={"port": 80}).ingress.redirect_port == 80, "without a certificate nothing redirects"


def test_what_only_requests_have_is_refused_of_connections(root):
    tcp = {"protocol": "tcp", "client_keep_alive": 600, "idle_timeout": 7000}
    scaling = {"target_tracking": {"requests_per_target": 9}}
    lines = faults(root, cloud="aws", ingress=tcp, scaling=scaling)
    assert [line.partition(" ")[0] for line in lines] == [
        "turnout:ingress.idle_timeout",
        "turnout:ingress.client_keep_alive",
        "turnout:scaling.target_tracking.requests_per_target",
    ]


def test_nodes_in_aws_have_a_way_out(root):
    closed = {"cidr": "10.20.0.0/16", "zones": ["us-east-1a", "us-east-1b"], "nat": "none"}
    line = fault(root, cloud="aws", ingress__allowed_cidrs=[], network=closed)
    assert line.startswith('turnout:network.nat = "none": leaves nodes without a way to images, models and AWS')
    assert read(root, cloud="aws", ingress__allowed_cidrs=[], network=closed | {"endpoints": ["s3", "ecr.api"]})
