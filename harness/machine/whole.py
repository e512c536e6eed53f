"""Writing a file that is there as a whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from harness.values.refusals import cannot


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A path to write to in the block, which takes the place of `path` at its end; one process at a time.

    Raises HarnessError where the system refuses, in the block too; then `path` is as it was.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        yield partial
        os.replace(partial, path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink()
        raise cannot(f"write {path}", error) from error
