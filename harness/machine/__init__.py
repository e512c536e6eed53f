"""Mechanisms of the operating system, without policy."""
