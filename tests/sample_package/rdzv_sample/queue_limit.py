"""A step: it runs in ranks, where this package is not installed."""

import resource
import sys
from typing import Any

from harness.rank.steps.base import Arguments, Context, step
from harness.values.attribute import Declaration


@step(
    Declaration(
        kind="queue_limit",
        summary="Read how many signals may be queued for this process.",
        example="{do: queue_limit, ranks: 1}",
        details="Returns the `limit`, and whether the package of this step is `imported` in the rank.",
    )
)
def queue_limit(_context: Context, _arguments: Arguments) -> dict[str, Any]:
    soft, _ = resource.getrlimit(resource.RLIMIT_SIGPENDING)
    return {"limit": soft, "imported": __name__.partition(".")[0] in sys.modules}
