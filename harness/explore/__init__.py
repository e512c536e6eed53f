"""Random exploration: scenarios drawn from a seed, judged by invariants, and shrunk to what still fails."""
