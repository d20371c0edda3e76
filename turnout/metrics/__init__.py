"""Where a rollout's measurements come from."""
