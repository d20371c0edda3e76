"""The policy pack: rules that no update of a stack may break, for Pulumi and the local engine alike (docs/policies.md)."""
