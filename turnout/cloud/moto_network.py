"""Extends moto's VPC endpoints, NAT gateways and flow logs where they differ from AWS's in what a stack declares.

Sources: Amazon EC2 API Reference, "ModifyVpcEndpoint", "DeleteVpcEndpoints", "DeleteNatGateway",
"CreateFlowLogs", "FlowLog".
"""

import json
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.models import EC2Backend
from moto.ec2.models.flow_logs import FlowLogs
from moto.ec2.models.nat_gateways import NatGateway
from moto.ec2.models.vpcs import VPCEndPoint
from moto.ec2.responses import EC2Response

_LOG_GROUP = ":log-group:"


def extend_network() -> None:
    """Endpoints change and end as a whole, a NAT gateway's end frees its address, and a flow log finds its log group by
    ARN."""
    _extend_endpoint_changes()
    _extend_endpoint_deletion()
    _extend_nat_deletion()
    _extend_flow_logs()


def _extend_endpoint_changes() -> None:
    modify = EC2Response.modify_vpc_endpoint

    def modify_vpc_endpoint(self: EC2Response) -> ActionResult:
        """ "ModifyVpcEndpoint": moto leaves PrivateDnsEnabled, ResetPolicy and the routes of a gateway endpoint as they are."""
        answer = modify(self)
        backend, name = self.ec2_backend, self._get_param("VpcEndpointId")
        (endpoint,) = backend.describe_vpc_endpoints([name])
        wanted = self._get_param("PrivateDnsEnabled")
        if wanted is not None:
            endpoint.private_dns_enabled = str(wanted).lower() == "true"
        if str(self._get_param("ResetPolicy")).lower() == "true":
            endpoint.policy_document = json.dumps(VPCEndPoint.DEFAULT_POLICY)
        if endpoint.destination_prefix_list_id:
            _forget_routes(backend, endpoint)
            for table in endpoint.route_table_ids:
                prefixes = endpoint.destination_prefix_list_id
                backend.create_route(table, None, gateway_id=name, destination_prefix_list_id=prefixes)
        return answer

    EC2Response.modify_vpc_endpoint = modify_vpc_endpoint  # type: ignore[assignment,method-assign]


def _extend_endpoint_deletion() -> None:
    def delete_vpc_endpoints(self: EC2Backend, vpce_ids: list[str] | None = None) -> None:
        """ "DeleteVpcEndpoints": moto goes on describing what is deleted, and fails for a gateway endpoint with routes."""
        for name in vpce_ids or []:
            endpoint = self.vpc_end_points.pop(name, None)
            if endpoint is not None:
                _forget_routes(self, endpoint)
                for interface in endpoint.network_interface_ids:
                    self.enis.pop(interface, None)

    EC2Backend.delete_vpc_endpoints = delete_vpc_endpoints  # type: ignore[assignment,method-assign]


def _forget_routes(backend: EC2Backend, endpoint: VPCEndPoint) -> None:
    for table in backend.route_tables.values():
        for key, route in list(table._routes.items()):
            if route.gateway_id == endpoint.id:
                del table._routes[key]


def _extend_nat_deletion() -> None:
    delete = EC2Backend.delete_nat_gateway

    def delete_nat_gateway(self: EC2Backend, nat_gateway_id: str) -> NatGateway:
        """ "DeleteNatGateway": its Elastic IP address is disassociated, not released; moto holds it for good."""
        gateway = delete(self, nat_gateway_id)
        for address in self.describe_addresses():
            if address.eni is not None and address.eni.id == gateway._eni.id:
                self.disassociate_address(address=address.public_ip)
        return gateway

    EC2Backend.delete_nat_gateway = delete_nat_gateway  # type: ignore[assignment,method-assign]


def _extend_flow_logs() -> None:
    create = EC2Backend.create_flow_logs

    def create_flow_logs(self: EC2Backend, *args: Any, **members: Any) -> tuple[list[FlowLogs], list[Any]]:
        """ "CreateFlowLogs": LogDestination is the log group's ARN; moto looks for LogGroupName only."""
        destination = members.get("log_destination") or ""
        if _LOG_GROUP in destination and members.get("log_group_name") is None:
            members["log_group_name"] = destination.split(_LOG_GROUP, 1)[1].removesuffix(":*")
        return create(self, *args, **members)

    EC2Backend.create_flow_logs = create_flow_logs  # type: ignore[assignment,method-assign]
