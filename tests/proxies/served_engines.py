"""Engines that another user has started."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def served() -> Iterator[str]:
    """The URL of an engine that another user started with the command line."""
    command = [sys.executable, "-m", "harness.cli", "proxy", "serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as engine:
        assert engine.stdout is not None
        try:
            yield f"http://127.0.0.1:{json.loads(engine.stdout.readline())['port']}"
        finally:
            engine.terminate()
