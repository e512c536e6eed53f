"""Processes: namespaces, children and their ends, signals, stacks, slots."""
