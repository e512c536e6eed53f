"""Links without a proxy: a direct connection."""

from __future__ import annotations

import pytest
from link_helpers import NOWHERE

from harness.proxies.base import LinkSpec
from harness.proxies.direct import Direct
from harness.values.errors import HarnessError


def test_direct_has_no_links():
    """It makes no link, and refuses what it cannot do."""
    direct = Direct()
    assert direct.make([]) == ()
    with pytest.raises(HarnessError, match="no links"):
        direct.make([LinkSpec(1, NOWHERE)])
    direct.remove([])
    direct.restart()
    direct.close()
    assert (direct.describe(), direct.log()) == ("none (direct)", "")
