"""What a world promises: it launches ranks, and says what it can do to them."""

from __future__ import annotations

import json
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from harness.registry import Registry
from harness.words.attribute import Declaration


@dataclass(frozen=True)
class LaunchOrder:
    """One rank process to make."""

    rank: int
    life: int
    fresh: bool
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass
class RankHandle:
    """A rank process that was made, and the pipe to tell it things.

    Attributes:
        pid: in the controller's pid namespace; stays reserved until the controller has reaped it.
        control_fd: the write end of its control pipe; -1 once closed.
    """

    rank: int
    life: int
    pid: int
    control_fd: int
    ops_path: Path

    def tell(self, message: Mapping[str, Any]) -> None:
        """Send one line; a rank that is gone hears nothing, and its end is seen elsewhere."""
        if self.control_fd < 0:
            return
        try:
            os.write(self.control_fd, json.dumps(message).encode() + b"\n")
        except (BrokenPipeError, BlockingIOError):
            self.close()

    def close(self) -> None:
        """Let go of the pipe; a rank that still waits on it ends at once."""
        if self.control_fd >= 0:
            os.close(self.control_fd)
            self.control_fd = -1


class World(ABC):
    """One kind of world, kept by a controller over many plays.

    Attributes:
        capabilities: what can be done to its ranks; a scenario that needs more is skipped by name.
    """

    declaration: ClassVar[Declaration]
    capabilities: ClassVar[frozenset[str]]

    @abstractmethod
    def describe(self) -> Mapping[str, Any]:
        """JSON for the `begin` operation: kind, isolation, private_network, lookups."""

    @abstractmethod
    def versions(self) -> Mapping[str, Any]:
        """Of the ranks' interpreter: python, torch, torch_file."""

    @abstractmethod
    def launch(self, orders: Sequence[LaunchOrder], plan: Path, run_dir: Path) -> Sequence[RankHandle]:
        """Make rank processes that wait for `begin`; raises HarnessError."""

    @abstractmethod
    def helper(self, module: str, arguments: Mapping[str, Any], run_dir: Path) -> AbstractContextManager[int]:
        """A process that runs `harness.rank.<module>`; yields its pid once it is ready, and ends it."""


WORLDS: Registry[type[World]] = Registry("world", "harness.worlds")
