"""Let the name server answer late or never, as in a busy cluster or a network that loses packets."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from harness.faults.base import FAULTS, Evidence, FaultContext, FaultMember
from harness.faults.parts.evidence import hosts_of
from harness.machine.names import resolution
from harness.values.attribute import Attribute, Declaration

LATE, NEVER = "late", "never"
DELAY_NS = 2_000_000_000


@FAULTS.register("slow_resolver")
class SlowResolver(FaultMember):
    """A name server of the harness, and hosts files without names."""

    declaration = Declaration(
        kind="slow_resolver",
        summary="Removes all names from the hosts files of its ranks' hosts, and answers their look-ups late or never.",
        attributes=(
            Attribute("answers", "choice", "whether answers come late or never", default=LATE, choices=(LATE, NEVER)),
            Attribute("delay", "duration", "how late", default=DELAY_NS, default_text="2s", minimum=0),
            Attribute("one_in", "int", "hits one query in this many, beginning with the first", default=1, minimum=1),
        ),
        example="{inject: slow_resolver, ranks: 0, answers: never, one_in: 50}",
        details=(
            "A look-up sends two queries at once (IPv4, IPv6), and repeats them after 5 s without an answer. Both "
            "sides of a TCPStore's connection also look up numeric addresses, the server in its only thread. With "
            "`delay: 0s` it is a working name server: newer versions of torch look up the names of addresses only if "
            "there was one from the start (docs/dns-faults.md). Other hosts are not affected. If no query was hit, the "
            "cell is vacuous."
        ),
    )
    layer = "host"
    needs = frozenset({"hosts"})

    @classmethod
    def problems(cls, attributes: Mapping[str, Any]) -> Sequence[str]:
        if attributes.get("answers") == NEVER and attributes.get("delay", DELAY_NS) != DELAY_NS:
            return ("an answer that never comes has no delay; leave `delay` or `answers` out",)
        return ()

    @contextlib.contextmanager
    def hold(self, context: FaultContext) -> Iterator[Callable[[], Evidence]]:
        given = self.fault.attributes
        silent = given["answers"] == NEVER
        what = {"silent": silent, "delay_ns": 0 if silent else given["delay"], "one_in": given["one_in"]}
        hosts = hosts_of(self.fault, context)
        with resolution.served(context.proxy_host, hosts, self.fault.name, **what) as count:
            yield lambda: _evidence(count(), what)


def _evidence(count: Mapping[str, Any], what: Mapping[str, Any]) -> Evidence:
    """A query got no answer, or a late one, or waits for it; with no delay at all it is enough that one was asked."""
    if what["silent"]:
        return Evidence(count.get("unanswered", 0) > 0, count)
    late = count.get("longest_ns", 0) >= what["delay_ns"] or count.get("waiting", 0) > 0
    return Evidence(count["hit"] > 0 and late, count)
