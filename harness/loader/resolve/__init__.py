"""From the checked keys of one cell to its frozen values, in stages."""
