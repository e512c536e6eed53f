"""Steps of other packages: the plan carries their modules as source text, and the rank runs it."""

from __future__ import annotations

import linecache
import sys
from types import ModuleType
from typing import Iterable

from harness.values.plan import StepModule


def load(modules: Iterable[StepModule]) -> None:
    """Run each module once, so that its steps are registered; raises ImportError for one that does not run here."""
    for module in modules:
        if module.name not in sys.modules:
            _run(module)


def _run(module: StepModule) -> None:
    made = ModuleType(module.name)
    made.__file__ = module.file
    # Tracebacks show its lines also where there is no such file.
    lines = module.source.splitlines(True)
    linecache.cache[module.file] = (len(module.source), None, lines, module.file)
    sys.modules[module.name] = made
    try:
        exec(compile(module.source, module.file, "exec"), vars(made))
    except Exception as error:
        del sys.modules[module.name]
        raise ImportError(
            f"the steps of {module.name} cannot be loaded in a rank ({type(error).__name__}: {error}); such a module "
            "imports the standard library, torch, harness.rank.steps.base and harness.values only"
        ) from error
