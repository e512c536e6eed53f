"""Checkers: one property of a history each, one file each; all pure."""
