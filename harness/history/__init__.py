"""Questions to a finished run: its joins, its keys, its moments, and how they are worded."""
