"""Serves the policies: `pulumi up --policy-pack policies`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # Pulumi starts it by its path

from pulumi_policy import EnforcementLevel, PolicyPack

from policies.pack import POLICIES

PolicyPack(name="turnout", policies=POLICIES, enforcement_level=EnforcementLevel.MANDATORY)
