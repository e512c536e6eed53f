"""What a proxy server promises: links that can be made all at once and taken away one by one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from harness.scenario.moment import WireMoment
from harness.values.endpoint import Endpoint
from harness.values.errors import Unsupported


@dataclass(frozen=True)
class RetainedBytes:
    """Bytes from the master that have reached the proxy, but nobody behind it; the end of a connection counts as one.

    Attributes:
        links: names of the links that may have kept them, because a toxic lay on their way down.
    """

    bytes: int
    links: frozenset[str]


@dataclass(frozen=True)
class Traffic:
    """What has passed a link so far.

    Attributes:
        accepted: connections accepted since the link was made.
        open: connections open now.
        ended: connections that have ended, or have begun to.
        unreached: connections accepted by any link of the server for which the upstream could not be reached.
        upstream_bytes: bytes that ranks sent into the link, whatever became of them; None where it cannot be read.
        downstream_bytes: bytes sent on to ranks, and those swallowed on connections that have ended; likewise.
        upstream_sent, downstream_sent: bytes sent on by the proxy, where it says so itself; else None.
        held: one entry whenever more bytes were found to be kept back than before, on any link to the same upstream.
        complete: False where a connection that came and went unseen, or bytes that were swallowed, may be missing.
    """

    accepted: int
    open: int = 0
    ended: int = 0
    unreached: int = 0
    upstream_bytes: int | None = None
    downstream_bytes: int | None = None
    upstream_sent: int | None = None
    downstream_sent: int | None = None
    held: tuple[RetainedBytes, ...] = ()
    complete: bool = True


class Link(Protocol):
    """A rank's path to an endpoint, through a proxy."""

    @property
    def rank(self) -> int: ...

    @property
    def name(self) -> str: ...

    @property
    def address(self) -> Endpoint: ...

    @property
    def upstream(self) -> Endpoint: ...

    def add_toxic(
        self, name: str, kind: str, stream: str, toxicity: float, attributes: Mapping[str, int | str]
    ) -> None:
        """Put a toxic at the end of the chain and verify it; raises ProxyLost or HarnessError."""

    def update_toxic(self, name: str, toxicity: float, attributes: Mapping[str, int | str]) -> None:
        """Change a toxic; live connections draw their toxicity anew."""

    def remove_toxic(self, name: str) -> None:
        """Take a toxic away; a toxic that is gone already is no error."""

    def disable(self) -> None:
        """Refuse new connections and cut open ones."""

    def enable(self) -> None:
        """Listen again on the same port."""

    def traffic(self, fresh: bool = True) -> Traffic:
        """What has passed so far; grows only. `fresh` False: as of the last look at any link of this server."""

    def acts(self, name: str) -> int:
        """How often a toxic of the embedded engine has acted on this link, as of the last look; else 0."""


class WireWatch(Protocol):
    """Messages on the wire that somebody waits for; a context manager, after which nobody does."""

    def fileno(self) -> int:
        """Readable when `read` may have something to tell."""

    def read(self) -> Sequence[tuple[WireMoment, int]]:
        """The messages that have passed since the last call, and when; raises ProxyLost."""

    def go_on(self) -> None:
        """Let links that stand still since such a message carry on."""

    def close(self) -> None:
        """Wait no longer, and let everything go on."""


@dataclass(frozen=True)
class LinkSpec:
    """A link to make: whose it is, and where it leads."""

    rank: int
    upstream: Endpoint


class Proxies(ABC):
    """A proxy server in use by one controller.

    `describe` names the server and its version for every report, e.g. `toxiproxy-server 2.12.0 (found on PATH)`.
    """

    @abstractmethod
    def describe(self) -> str: ...

    @abstractmethod
    def make(self, specs: Sequence[LinkSpec], listen: str = "127.0.0.1", seed: int = 0) -> Sequence[Link]:
        """All links of a world in one request, in the order of `specs`; raises ProxyLost or HarnessError.

        Args:
            listen: the numeric address of the server's host that links listen on.
            seed: names the chance of toxics, where the server can be told (the embedded engine).
        """

    def require(self, who: str) -> None:
        """Raise Unsupported unless this server is the embedded engine, which `who` needs."""
        raise Unsupported("proxy", f"{who} needs the embedded engine; give --toxiproxy embedded, or leave it out")

    def watch(self, links: Sequence[Link], waited: Mapping[WireMoment, bool]) -> WireWatch:
        """Wait for messages, each without a duration; True: then all these links stand still until `go_on`.

        Only of a server that `require` accepts; raises ProxyLost or HarnessError.
        """
        raise Unsupported("proxy", "moments on the wire need the embedded engine")

    def account(self, links: Sequence[Link]) -> Sequence[Mapping[str, Any]]:
        """JSON for the history: what has passed each link, where the server tells; else nothing."""
        return ()

    @abstractmethod
    def remove(self, links: Sequence[Link]) -> None:
        """Take the links away, one by one, and verify that nothing of ours is left; raises ProxyLost."""

    @abstractmethod
    def restart(self) -> None:
        """Replace a server that was lost; a no-op where the server is not ours (then raises ProxyLost)."""

    @abstractmethod
    def close(self) -> None:
        """End the server if it is ours; else remove what is ours from it."""

    def log(self) -> str:
        """What the server has logged since the last `make`; empty where it is not ours."""
        return ""
