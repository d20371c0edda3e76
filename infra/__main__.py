"""One model service, with two environments and the switch that moves traffic between them, on the stack's platform."""

from importlib import import_module

import pulumi

from infra.config import Platform
from infra.settings import load

PROGRAMS = {Platform.EC2: "infra.on_ec2", Platform.EKS: "infra.on_eks", Platform.KUBERNETES: "infra.on_kubernetes"}
"""Imported where a stack runs it: another platform's packages take their time."""

settings = load()
outputs = import_module(PROGRAMS[settings.platform]).program(settings)
for name, output in outputs.items():
    pulumi.export(name, output)
