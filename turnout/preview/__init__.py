"""What a merge or an update would do, as a plan: of two git revisions offline, or of what an engine's own preview tells."""
