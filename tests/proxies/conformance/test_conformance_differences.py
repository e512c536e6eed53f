"""The table of differences in the docs is what the claims assert, no more and no less."""

from __future__ import annotations

from differences import documented, marked


def test_every_documented_difference_is_asserted():
    """And every asserted one is documented."""
    assert sorted(documented()) == marked()
