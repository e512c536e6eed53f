"""A controller that was taken over, as a real process: whatever it sends runs nothing in the parent."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from pasts import scenario

from harness.campaign.runner import Runner
from harness.machine.process import boot
from harness.play.options import RunOptions
from harness.values.errors import HarnessError

HOSTILE = """
import os, pickle, socket, struct, sys

class Payload:
    def __reduce__(self):
        return open, (sys.argv[2], "w")

data = pickle.dumps(Payload())
framed = struct.pack("!i", len(data)) + data
channel = socket.socket(fileno=int(sys.argv[1]))
if sys.argv[3] == "late":
    channel.sendall(b'{"Ready": {"world": {}, "versions": {}}}\\n')
    channel.recv(1 << 20)
channel.sendall(framed)
channel.recv(1)
"""


@pytest.mark.parametrize("moment", ["late", "early"])
def test_a_pickle_from_a_controller_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    """The payload would create a file: there is none, the controllers are lost, and the run ends in good order."""
    script, created = tmp_path / "hostile.py", tmp_path / "created"
    script.write_text(HOSTILE)

    def taken_over(python: str, life_fd: int, isolation: str, serve: list[str], *_: object) -> list[str]:
        return [sys.executable, str(script), serve[3], str(created), moment]

    monkeypatch.setattr(boot, "argv", taken_over)
    options = RunOptions(subject="echo", runs_dir=tmp_path / "runs", jobs=1, isolation="host")
    said = []
    with Runner(options) as runner:
        try:
            said = [result.judgement.because for result in runner.run([scenario()], repeat=2)]
        except HarnessError as error:  # before anything was played: the next one would be lost too
            said = [str(error)]
    assert not created.exists()
    assert len(said) == {"late": 2, "early": 1}[moment]
    assert all("sent what no controller sends" in one for one in said)
