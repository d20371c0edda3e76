"""A rollout as one page of HTML that needs nothing else: charts, verdicts, and what was decided when and why."""
