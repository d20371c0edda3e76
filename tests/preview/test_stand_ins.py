"""What stands in for outputs that only a cloud knows."""

from turnout.engine.state import ResourceState
from turnout.preview.stand_ins import StandIns

CLUSTER = "aws:eks/cluster:Cluster"
URN = f"urn:pulumi:prod::turnout::{CLUSTER}::cluster"


def test_the_parts_of_an_object_that_is_an_output_have_stand_ins_and_names() -> None:
    """A kubeconfig holds the certificate of an EKS cluster: unknown, it would differ from itself in every preview."""
    stand_ins = StandIns("us-east-1")
    _, outputs = stand_ins(ResourceState(URN, CLUSTER, custom=True))
    found = outputs["certificateAuthority"]["data"]
    assert isinstance(found, str)
    assert StandIns("us-east-1")(ResourceState(URN, CLUSTER, custom=True))[1] == outputs
    assert stand_ins.named(f"ca: {found}") == "ca: ${cluster.certificateAuthority.data}"
