"""What else than weights a real cloud's load balancers do: send to HTTPS, and refuse to be deleted; and what they do not."""

import pytest
from cloud_account import Account, get

from benchmarks.waiting import wait_for


def answers(url: str) -> bool:
    try:
        return get(url)[0] > 0
    except ConnectionRefusedError:
        return False


def test_plain_requests_are_sent_to_https_with_path_and_query(account: Account) -> None:
    redirect = {"Protocol": "HTTPS", "Port": "443", "StatusCode": "HTTP_301"}
    made = account.api("elbv2").create_listener(
        LoadBalancerArn=account.balancer,
        Protocol="HTTP",
        Port=80,
        DefaultActions=[{"Type": "redirect", "RedirectConfig": redirect}],
    )
    url = account.url(made["Listeners"][0]["ListenerArn"])
    wait_for("a redirect", lambda: answers(url))
    status, body, headers = get(url, "/v1/chat?stream=1", headers={"host": "llm.example.com"})
    assert (status, body) == (301, b"")
    assert headers["location"] == "https://llm.example.com:443/v1/chat?stream=1"


def test_a_network_load_balancer_checks_its_targets_and_carries_nothing(account: Account) -> None:
    elb = account.api("elbv2")
    http = elb.describe_target_groups(Names=["blue"])["TargetGroups"][0]
    group = elb.create_target_group(
        Name="blue-tcp",
        Protocol="TCP",
        Port=8000,
        VpcId=http["VpcId"],
        HealthCheckProtocol="HTTP",
        HealthCheckPath=http["HealthCheckPath"],
        HealthCheckIntervalSeconds=5,
        HealthCheckTimeoutSeconds=2,
    )["TargetGroups"][0]["TargetGroupArn"]
    account.groups["blue-tcp"] = group
    balancer = elb.create_load_balancer(Name="grpc", Type="network", Subnets=account.subnets)["LoadBalancers"][0]
    listener = elb.create_listener(
        LoadBalancerArn=balancer["LoadBalancerArn"],
        Protocol="TCP",
        Port=443,
        DefaultActions=account.forward(**{"blue-tcp": 100}),
    )["Listeners"][0]["ListenerArn"]
    account.launch("blue", 1, TargetGroupARNs=[account.groups["blue"], group])
    account.await_states("blue-tcp", "healthy")
    assert account.url(listener) == "None"
    (found,) = [lb for lb in account.cloud.state()["load_balancers"] if lb["name"] == "grpc"]
    assert found["listeners"][0]["weights"] == {group: 100}


def test_a_protected_load_balancer_stays(account: Account) -> None:
    elb = account.api("elbv2")
    protect = {"Key": "deletion_protection.enabled", "Value": "true"}
    elb.modify_load_balancer_attributes(LoadBalancerArn=account.balancer, Attributes=[protect])
    with pytest.raises(elb.exceptions.OperationNotPermittedException):
        elb.delete_load_balancer(LoadBalancerArn=account.balancer)
    elb.modify_load_balancer_attributes(LoadBalancerArn=account.balancer, Attributes=[{**protect, "Value": "false"}])
    elb.delete_load_balancer(LoadBalancerArn=account.balancer)
    assert account.cloud.state()["load_balancers"] == []
