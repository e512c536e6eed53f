"""From a checked tree to the frozen values of one cell."""
