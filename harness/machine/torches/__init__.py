"""Versions of torch, each in an environment of its own in the cache, made by the program `uv`."""
