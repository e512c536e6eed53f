"""Cut ranks off: silence on their links, on open connections and on new ones."""

from __future__ import annotations

from harness.faults.base import FAULTS, ToxicFault
from harness.words.attribute import Attribute, Declaration


@FAULTS.register("partition")
class Partition(ToxicFault):
    """A blackhole on every link of its ranks."""

    declaration = Declaration(
        kind="partition",
        summary="Cuts its ranks off from the master: connections stay and are made, and nothing passes.",
        attributes=(
            Attribute(
                "stream", "choice", "the way that is cut: to the master, from it, or both", "both",
                choices=("upstream", "downstream", "both"),
            ),
        ),
        example="{inject: partition, ranks: [2, 3], after: join, for: 2s}",
        details="Healing closes every connection that was cut, since bytes are missing; new ones pass.",
    )  # fmt: skip
    toxic = False
    toxic_kind = "timeout"

    @property
    def streams(self) -> tuple[str, ...]:
        stream = self.fault.stream or self.fault.attributes.get("stream", "both")
        return ("upstream", "downstream") if stream == "both" else (stream,)

    @property
    def toxic_attributes(self) -> dict[str, int]:
        return {"timeout": 0}
