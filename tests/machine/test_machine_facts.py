"""Facts of the machine are plain values that explain a result."""

from __future__ import annotations

import json
import os
import platform
from pathlib import Path

import pytest

from harness.machine.facts import facts, in_container


def test_facts_are_what_the_system_says() -> None:
    """They can be stored as JSON; the cores are those that this process may use."""
    stored = json.loads(json.dumps(dict(facts())))
    assert (stored["kernel"], stored["python"]) == (platform.release(), platform.python_version())
    assert stored["cores"] == len(os.sched_getaffinity(0))
    kibibytes = int(Path("/proc/meminfo").read_text().split("MemTotal:")[1].split()[0])
    assert stored["memory_bytes"] == kibibytes * 1024
    assert stored["libc"]


@pytest.mark.parametrize(
    ("name", "file", "expected"),
    [("", "", False), ("container", "", True), ("KUBERNETES_SERVICE_HOST", "", True), ("", "mark", True)],
)
def test_a_container_is_recognized_by_its_mark(name: str, file: str, expected: bool, tmp_path: Path) -> None:
    """A file that the container engine makes, or a variable that it sets."""
    (tmp_path / "mark").touch()
    assert in_container({name: "x"}, (tmp_path / (file or "absent"),)) is expected
