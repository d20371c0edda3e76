"""Turnout's components for Pulumi, and the switch's rules beside them as plain modules (docs/components.md)."""

__version__ = "0.1.0"
