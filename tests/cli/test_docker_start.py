"""`docker start` prints the address for scripts, and the line to type for persons."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.cli.groups import start_engine
from harness.machine.docker import private_engine


def test_the_line_to_export_is_on_standard_error_and_the_address_alone_on_output(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """`DOCKER_HOST="$(rdzv-harness docker start DIR)"` goes on working."""
    url = f"unix://{tmp_path}/docker.sock"
    monkeypatch.setattr(private_engine, "start", lambda directory: SimpleNamespace(url=url))
    assert start_engine(tmp_path) == 0
    said = capsys.readouterr()
    assert said.out == f"{url}\n"
    assert f"export DOCKER_HOST={url}\n" in said.err
