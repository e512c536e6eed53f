"""Faults: what the nemesis can inject, one file each."""
