"""What a merge would do: one git revision's program planned against the state that another would have produced."""
