"""Gates and their statistics: pure functions of measurements."""
