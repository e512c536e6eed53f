"""The verb that moves a rank's wall clock."""

from __future__ import annotations

from typing import Any, Dict

from harness.rank import wall_clock
from harness.rank.steps.base import Arguments, Context, step
from harness.values.attribute import Attribute, Declaration


@step(
    Declaration(
        kind="move_wall_clock",
        summary="Move the wall clock of the rank's process, as its Python code reads it.",
        attributes=(
            Attribute("by", "duration", "by how much"),
            Attribute("back", "flag", "backwards", default=False),
        ),
        example="{do: move_wall_clock, thread: clock, by: 3600s, after: {step: join, is: begun}}",
        details=(
            "As NTP or an administrator moves it. In a thread of its own it does so in the middle of a call. Python"
            " code of the rank sees it in `time.time`, `time.time_ns`, `time.clock_gettime` and"
            " `time.clock_gettime_ns`, also where a module has imported them by these names. C++ code, `datetime` and"
            " the machine's own clock are not affected: a handler that is written in C++ is not tested by this. Returns"
            " how many modules read the moved clock."
        ),
    )
)
def move_wall_clock(_context: Context, arguments: Arguments) -> Dict[str, Any]:
    by_ns = arguments["by"]
    return {"modules": len(wall_clock.move(-by_ns if arguments["back"] else by_ns))}
