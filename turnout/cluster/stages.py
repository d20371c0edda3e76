"""What kwok does with pods: those of ours get the status that the agent decides, all others run at once.

Source: "Stages Configuration", KWOK's documentation. A stage writes nothing where the object has it already.
"""

import json
from collections.abc import Sequence
from typing import Any

from turnout_components.kubernetes_names import MANIFEST_ANNOTATION

STATUS_ANNOTATION = "turnout.dev/pod-status"
"""The status that the agent decides (JSON); kwok adds addresses and puts it in force."""
ENDED_ANNOTATION = "turnout.dev/pod-ended"
"""`true` when the server of a deleted pod has ended: kwok takes the pod away."""

_ADDRESSES = """
hostIP: {{ NodeIPWith .spec.nodeName | Quote }}
podIP: {{ or .status.podIP ( PodIPWith .spec.nodeName false .metadata.uid .metadata.name .metadata.namespace ) | Quote }}
"""
_DECIDED = f'{{{{ YAML ( index .metadata.annotations "{STATUS_ANNOTATION}" | fromJson ) }}}}' + _ADDRESSES
_AT_ONCE = (
    """
{{ $now := Now }}
phase: Running
startTime: {{ $now | Quote }}
conditions:
{{ range $type := list "Initialized" "ContainersReady" "Ready" }}
- type: {{ $type | Quote }}
  status: "True"
  lastTransitionTime: {{ $now | Quote }}
{{ end }}
containerStatuses:
{{ range .spec.containers }}
- name: {{ .name | Quote }}
  image: {{ .image | Quote }}
  ready: true
  started: true
  restartCount: 0
  state:
    running:
      startedAt: {{ $now | Quote }}
{{ end }}
"""
    + _ADDRESSES
)


def documents() -> list[dict[str, Any]]:
    """The stages of pods; kwok's own of nodes stay."""
    ours, deleted = f'.metadata.annotations["{MANIFEST_ANNOTATION}"]', ".metadata.deletionTimestamp"
    ended = f'.metadata.annotations["{ENDED_ANNOTATION}"]'
    decided = f'.metadata.annotations["{STATUS_ANNOTATION}"]'
    gone = {"finalizers": {"empty": True}, "delete": True}
    return [
        _stage("served-pod", [_is(decided), _is_not(ended)], {"statusTemplate": _DECIDED}),
        _stage("served-pod-gone", [_is(ours), _is(deleted), _is(ended)], gone),
        _stage("other-pod", [_is_not(ours), _is_not(deleted), _is_not(".status.podIP")], {"statusTemplate": _AT_ONCE}),
        _stage("other-pod-gone", [_is_not(ours), _is(deleted)], gone),
    ]


def configuration() -> str:
    """The stages as a file for kwok's `--config`; JSON is YAML."""
    return "\n---\n".join(json.dumps(document) for document in documents())


def _is(path: str) -> dict[str, str]:
    return {"key": path, "operator": "Exists"}


def _is_not(path: str) -> dict[str, str]:
    return {"key": path, "operator": "DoesNotExist"}


def _stage(name: str, selector: Sequence[dict[str, str]], following: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "Stage",
        "metadata": {"name": name},
        "spec": {
            "resourceRef": {"apiGroup": "v1", "kind": "Pod"},
            "selector": {"matchExpressions": list(selector)},
            "next": following,
        },
    }
