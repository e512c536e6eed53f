"""One member of each family of rdzv-harness."""
