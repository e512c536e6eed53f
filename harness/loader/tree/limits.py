"""How large a scenario file may be: far more than any that a person writes, and little enough to be read at once.

The largest file of this project has 2 KiB, 229 nodes, 7 levels, 12 cells and texts of 175 characters.
"""

from __future__ import annotations

LARGEST_FILE_BYTES = 256 << 10
"""Of the file. YAML is read in pure Python: a file of this size takes some seconds."""

DEEPEST = 40
"""Levels of mappings and lists. All that walks a tree is recursive, and this many calls always fit."""

MOST_OPEN_BRACKETS = 500
"""Brackets open at once: the time of YAML's scanner grows with their square."""

MOST_NODES = 20_000
"""Keys, values and entries, each alias counted as all that it stands for: they take some 20 MB."""

MOST_CHARACTERS = 1 << 20
"""Of all texts, each alias counted likewise: environments and values go to every rank."""

LONGEST_TEXT = 16 << 10
"""Characters of one key or value."""

LARGEST_NUMBER = (1 << 63) - 1
"""Of whole numbers, and the lowest is one further: 64 bits are what JSON readers, torch and the kernel take."""

MOST_CELLS = 1000
"""Of a matrix. They are counted before they are made."""

MOST_NODES_OF_CELLS = 250_000
"""Nodes of all cells together: each cell is checked by itself, which takes some 30 s for so many."""

MOST_AXES = 50
"""Lines of a matrix: each is laid over every cell."""

MOST_ENTRIES = 1000
"""Entries of each list of a file: some are compared with every cell, others with each other."""

MOST_TURNS = 50_000
"""Ranks, and ranks of steps, of all cells together: what waits for what is known for each of them."""

MOST_CALLS = 1_000_000
"""Calls of one cell: each is written to disk twice, and kept in memory until the run is judged."""

MOST_PROBLEMS = 100
"""Problems that are shown of one file. Reading ends there: nobody mends more at once."""
