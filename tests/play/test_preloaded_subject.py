"""The import of a subject from another package is no join time: it is done before ranks are made."""

from __future__ import annotations

import os
from pathlib import Path

import packages
import pytest
from verdicts import options

from harness.campaign.runner import Runner
from harness.loader import load_text

# Its roster is the process that imported it.
OUTSIDER = """
import os
from torch.distributed.elastic.rendezvous import static_tcp_rendezvous as static
class Outsider(static.StaticTCPRendezvous):
    roster = [os.getpid()]
    def get_backend(self):
        return "outsider"
def create(params):
    params.config["rank"] = int(params.config["rank"])
    static.StaticTCPRendezvous = Outsider
    return static.create_rdzv_handler(params)
def get():
    return create
"""

TEXT = """\
schema: rdzv-scenario/v1
title: Two ranks of a subject from another package join
world: {size: 2, timeout: 5s, route: direct}
workload:
  - {id: join, do: rendezvous}
expect:
  - {step: join, is: ok}
"""


@pytest.mark.needs_torch
def test_ranks_find_their_subject_imported(rank_python: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All ranks got it from one process, which is not a rank; what is installed beside it was not imported there."""
    site = tmp_path / "site"
    modules = {"outsider": OUTSIDER, "bystander": "raise ZeroDivisionError('bystander was imported')"}
    entry_points = {"torchrun.handlers": {"outsider": "outsider:get", "bystander": "bystander:get"}}
    packages.install(site, "outsider", modules, entry_points)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH")])))
    (cell,) = load_text(TEXT, tmp_path / "two.rdzv.yaml")
    with Runner(options(tmp_path / "runs", rank_python, subject="outsider", jobs=1)) as runner:
        result = runner.play(cell)
    assert result.status == "passed", result.judgement
    joined = [call.returned["roster"] for call in result.history.calls if call.step == "join" and call.returned]
    ranks = {op.value["pid"] for op in result.history.ops if op.f == "ready"}
    assert len(joined) == 2
    assert joined[0] == joined[1]
    assert joined[0][0] not in ranks
