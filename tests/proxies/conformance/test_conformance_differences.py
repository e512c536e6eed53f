"""The table of differences in the docs lists what the claims assert, no more and no less."""

from __future__ import annotations

from differences import documented, marked


def test_every_documented_difference_is_asserted():
    """Every asserted difference is documented, too."""
    assert sorted(documented()) == marked()
