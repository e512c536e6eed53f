"""Checkers: what a history is held against, one file each; all pure."""
