"""A Docker engine: images, hosts, ranks, and what is left after a kill."""
