"""Arguments of components for tests: whole, and with the longest service name that is allowed."""

from typing import Any

from recording import ACCOUNT, ELB

SERVICE = "a-service-whose-name-takes-40-characters"
SHA = "sha256:" + "ab" * 32
DIGEST = "sha256:" + "cd" * 32
RELEASE_ID = f"llm-1.0.0@{DIGEST}"
BALANCER = f"{ELB}:loadbalancer/app/svc/50dc6c495c0c9188"


def target_group(environment: str) -> str:
    return f"{ELB}:targetgroup/svc-{environment}/73e2d6bc24d8a067"


def manifest(**changes: Any) -> dict[str, Any]:
    """A release as components take it."""
    return {
        "name": "llm-1.0.0",
        "model": {"name": "llm", "version": "1.0.0", "uri": "s3://models/llm/1.0.0", "sha256": SHA},
        "image": f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/serving/vllm@{SHA}",
        "engine": {"name": "vllm", "flags": ["--max-model-len=8192"]},
        "digest": DIGEST,
        **changes,
    }


def pool_args(**changes: Any) -> Any:
    return {
        "service": SERVICE,
        "environment": "green",
        "region": "us-east-1",
        "release": manifest(),
        "vpc_id": "vpc-1",
        "subnet_ids": ["subnet-a", "subnet-b"],
        "target_group_arn": target_group("green"),
        "balancer_security_group_id": "sg-balancer",
        **changes,
    }
