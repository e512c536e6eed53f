"""Worlds: how ranks are launched and what can be done to them, one file each."""
