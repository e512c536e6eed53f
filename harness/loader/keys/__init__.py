"""What each key of a scenario file may hold, and how a wrong one is told."""
