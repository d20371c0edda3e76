"""The AWS Load Balancer Controller itself beside the local account: what `target_groups.py` stands in for.

It is built on request (`python -m tools.kubernetes load-balancer-controller`). Source of its flags: "Controller configuration
options", AWS Load Balancer Controller.
"""

import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from subprocess import Popen

from lightkube import Client

from turnout.cloud import processes
from turnout.cloud.ports import Ports
from turnout.cloud.processes import Registry
from turnout.cluster import webhooks

PROGRAM = "aws-load-balancer-controller"
READY_WITHIN = 90.0
"""Seconds."""
_REGION = "us-east-1"
_SERVICES = (
    *("EC2", "Elastic Load Balancing v2", "ACM", "WAFV2", "WAF Regional", "Shield", "STS"),
    *("Resource Groups Tagging API", "Global Accelerator"),
)
"""As AWS's SDK for Go names them: all that the controller may call."""
_VPC = "vpc-00000000"
"""The account has none yet. Bindings name their own: the controller's webhook takes it from the target group."""
_REQUEUE = 15.0
"""Seconds between two looks at targets that are not healthy yet, by default."""
_GRACE = 5.0


class LoadBalancerControllerError(RuntimeError):
    """It did not come up; the message ends with its log's last lines."""


class LoadBalancerController:
    """One controller; its process ends with the thread that called `start`. `folder`: its own; `endpoint`: of AWS's API;
    `speed` divides its waits."""

    def __init__(
        self,
        client: Client,
        folder: Path,
        program: Path,
        kubeconfig: Path,
        endpoint: str,
        registry: Registry,
        ports: Ports,
        speed: float,
    ) -> None:
        self._client = client
        self._folder = folder
        self._program = program
        self._kubeconfig = kubeconfig
        self._endpoint = endpoint
        self._registry = registry
        self._ports = ports
        self._speed = speed
        self._process: Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when its webhooks are in force.

        Raises `LoadBalancerControllerError`."""
        authority = webhooks.certify(self._folder / "certificates")
        webhook, health = self._ports.take(), self._ports.take()
        command = [str(self._program), *self._flags(webhook, health)]
        self._process = processes.spawn(command, self._registry, self._log, self._folder, _environ(self._folder))
        self._await(f"http://127.0.0.1:{health}/readyz")
        webhooks.register_all(self._client, f"https://127.0.0.1:{webhook}", authority)

    def close(self) -> None:
        """Ends it."""
        if self._process is not None:
            processes.end([self._process], _GRACE)
            self._registry.remove(self._process.pid)

    def _flags(self, webhook: int, health: int) -> list[str]:
        """Gateways of this cluster are Envoy's, so its own controllers for them rest."""
        return [
            f"--kubeconfig={self._kubeconfig}",
            "--cluster-name=turnout-local",
            f"--aws-region={_REGION}",
            f"--aws-vpc-id={_VPC}",
            f"--aws-api-endpoints={','.join(f'{service}={self._endpoint}' for service in _SERVICES)}",
            "--enable-leader-election=false",
            "--feature-gates=ALBGatewayAPI=false,NLBGatewayAPI=false",
            f"--webhook-cert-dir={self._folder / 'certificates'}",
            f"--webhook-bind-port={webhook}",
            f"--health-probe-bind-addr=127.0.0.1:{health}",
            "--metrics-bind-addr=0",
            f"--targetgroupbinding-requeue-duration={_REQUEUE / self._speed:.3f}s",
        ]

    @property
    def _log(self) -> Path:
        return self._folder / f"{PROGRAM}.log"

    def _await(self, url: str) -> None:
        assert self._process is not None
        deadline = time.monotonic() + READY_WITHIN
        while not _answers(url):
            if self._process.poll() is not None or time.monotonic() > deadline:
                tail = "\n".join(self._log.read_text(errors="replace").splitlines()[-10:])
                raise LoadBalancerControllerError(f"{PROGRAM} is not ready; its log is {self._log}\n{tail}")
            time.sleep(0.1)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _environ(home: Path) -> Mapping[str, str]:
    """The local account asks for no particular key; nothing outside is asked for others."""
    return {
        "HOME": str(home),
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
