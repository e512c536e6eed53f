"""The steps as the parent sees them: ours, and those of other packages, which ranks get as source text."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterable

from harness.rank.steps import STEPS
from harness.rank.steps.base import StepMember
from harness.registry import OURS, Registry
from harness.values.errors import HarnessError
from harness.values.plan import StepModule

STEP_MEMBERS: Registry[StepMember] = Registry("step", "harness.rank.steps", "rdzv_harness.steps", StepMember, STEPS)


def modules_of(kinds: Iterable[str]) -> tuple[StepModule, ...]:
    """The modules of other packages that declare these steps; raises HarnessError if the text of one is not there."""
    origins = {origin.module: origin for kind in kinds if (origin := STEP_MEMBERS.origin(kind)) != OURS}
    return tuple(_with_source(module, origin.package) for module, origin in sorted(origins.items()))


def _with_source(name: str, package: str) -> StepModule:
    module = importlib.import_module(name)
    try:
        return StepModule(name, inspect.getsourcefile(module) or f"<{name}>", inspect.getsource(module))
    except OSError as error:
        raise HarnessError(
            f"ranks get the steps of {package} as source text, and {name} has none here ({error}); "
            f"install {package.split(' ')[0]} with its sources"
        ) from error
