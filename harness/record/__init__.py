"""The track record: which failures which torch has, from plays that are stored, merged and compared."""
