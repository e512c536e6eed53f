"""No proxy: every rank gets the endpoint itself."""

from __future__ import annotations

from collections.abc import Sequence

from harness.proxies.base import Link, LinkSpec, Proxies
from harness.values.errors import HarnessError


class Direct(Proxies):
    """`route: direct`, which has no links."""

    def describe(self) -> str:
        return "none (direct)"

    def make(self, specs: Sequence[LinkSpec], listen: str = "127.0.0.1", seed: int = 0) -> Sequence[Link]:
        """No links for no specs; raises HarnessError if any is asked for."""
        if specs:
            raise HarnessError("`route: direct` has no links; write `route: proxy` to hit the way to the endpoint")
        return ()

    def remove(self, links: Sequence[Link]) -> None:
        """There is nothing to remove."""

    def restart(self) -> None:
        """There is nothing to restart."""

    def close(self) -> None:
        """There is nothing to end."""
