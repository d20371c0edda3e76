"""The model's pipeline: what is proven of a release before nodes get it, and how its model and image are published."""
