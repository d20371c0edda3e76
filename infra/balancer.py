"""The stack's load balancer: of requests, or of connections where requests are not HTTP/1.1."""

from collections.abc import Mapping

import pulumi
from turnout_components.ingress import Ingress
from turnout_components.network import Network
from turnout_components.network_load_balancer import NetworkLoadBalancer

from infra.config import Protocol
from infra.settings import Settings


def load_balancer(
    settings: Settings, network: Network, opts: pulumi.ResourceOptions
) -> tuple[Ingress | NetworkLoadBalancer, Mapping[str, pulumi.Resource]]:
    """The load balancer, and by environment what lets its targets be checked: a pool comes after it."""
    if settings.ingress.protocol is Protocol.TCP:
        connections = NetworkLoadBalancer(settings.service, settings.connections_args(network), opts)
        return connections, connections.test_listeners
    requests = Ingress(settings.service, settings.ingress_args(network), opts)
    return requests, requests.test_rules
