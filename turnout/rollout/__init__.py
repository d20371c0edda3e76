"""Rollouts: they move traffic by evidence and take it back by themselves."""
