"""Scenarios as pytest items, and worlds in people's own tests."""
