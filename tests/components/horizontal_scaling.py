"""What a HorizontalPodAutoscaler does with a spec, by its documented algorithm. It knows nothing of this project's code.

"Horizontal Pod Autoscaling" (Kubernetes): "Algorithm details" says desired = ceil(current * metric / target) and a tolerance of
0.1; "Scaling policies" the changes within a period; "Stabilization window" the wishes within it; of several metrics the largest
wish counts, and none shrinks while another is missing.
"""

import math
from dataclasses import dataclass, field
from typing import Any

TOLERANCE = 0.1


@dataclass
class Autoscaler:
    """One autoscaler with what it remembers. `tick` is one look, at `now` in seconds."""

    spec: dict[str, Any]
    replicas: int
    _wishes: list[tuple[float, int]] = field(default_factory=list)
    _changes: list[tuple[float, int]] = field(default_factory=list)

    def tick(self, now: float, metrics: list[float | None], ready: int | None = None) -> int:
        """`metrics`: what each metric of the spec measures; None: it is missing. `ready`: pods that are (default: all)."""
        if not self._wishes:
            self._wishes.append((now, self.replicas))
        wish = self._wish(metrics, self.replicas if ready is None else ready)
        if wish is not None:
            wanted = self._stabilised(now, wish)
            self._wishes.append((now, wish))
            size = self._paced(now, wanted)
            size = min(max(size, self.spec["minReplicas"]), self.spec["maxReplicas"])
            if size != self.replicas:
                self._changes.append((now, size - self.replicas))
                self.replicas = size
        return self.replicas

    def _wish(self, metrics: list[float | None], ready: int) -> int | None:
        wishes = [
            self._of(metric, value, ready)
            for metric, value in zip(self.spec["metrics"], metrics, strict=True)
            if value is not None
        ]
        if not wishes or (len(wishes) < len(metrics) and max(wishes) < self.replicas):
            return None
        return max(wishes)

    def _of(self, metric: dict[str, Any], value: float, ready: int) -> int:
        target = metric[metric["type"].lower()]["target"]
        if target["type"] == "AverageValue":
            goal, counted = float(target["averageValue"]), self.replicas
            ratio = value / (goal * self.replicas)
            wish = math.ceil(value / goal)
        else:
            goal, counted = float(target.get("value") or target["averageUtilization"]), ready
            ratio = value / goal
            wish = math.ceil(counted * ratio)
        return self.replicas if abs(ratio - 1) <= TOLERANCE + 1e-9 else wish

    def _stabilised(self, now: float, wish: int) -> int:
        def since(direction: str) -> list[int]:
            window = self.spec["behavior"][direction]["stabilizationWindowSeconds"]
            return [wish, *(old for when, old in self._wishes if now - when < window)]

        return max(min(since("scaleUp")), min(self.replicas, max(since("scaleDown"))))

    def _paced(self, now: float, wanted: int) -> int:
        if wanted == self.replicas:
            return wanted
        grows = wanted > self.replicas
        rules = self.spec["behavior"]["scaleUp" if grows else "scaleDown"]
        limits = [self._limit(now, policy, grows) for policy in rules["policies"]]
        largest = rules["selectPolicy"] == "Max"
        if grows:
            return min(wanted, max(self.replicas, max(limits) if largest else min(limits)))
        return max(wanted, min(self.replicas, min(limits) if largest else max(limits)))

    def _limit(self, now: float, policy: dict[str, Any], grows: bool) -> int:
        start = self.replicas - sum(change for when, change in self._changes if now - when < policy["periodSeconds"])
        by = policy["value"] if policy["type"] == "Pods" else start * policy["value"] / 100
        return math.ceil(start + by) if grows else int(start - by)
