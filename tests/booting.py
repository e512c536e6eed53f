"""The life pipe of boot: boot ends what it started when the write end is closed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def life_pipe() -> Iterator[int]:
    """The read end, for boot; the write end stays open for the block."""
    reader, writer = os.pipe()
    try:
        yield reader
    finally:
        os.close(reader)
        os.close(writer)
