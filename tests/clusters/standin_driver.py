"""The driver of a campaign on Dask whose workers start `standin_player.py`: `python standin_driver.py run ...`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from harness import __version__
from harness.campaign.shipping import shipped
from harness.cli import main
from harness.clusters.dask import DaskCluster
from harness.judge.result import Result
from harness.loader import load_text
from harness.values.history import History
from harness.values.verdict import FAILED, PASSED, Judgement

FACTS = {"harness": __version__, "worlds": 2, "torch": "", "python": "", "isolation": "", "machine": {}}
SECONDS = 2.0
"""What a play is said to take: shards keep the size that they have for real plays."""


def command(files: list[Path], poison: int) -> tuple[str, ...]:
    """The player of these files: the plays of the first are as expected, those of the second are red."""
    rows = {}
    for path, status in zip(files, (PASSED, FAILED), strict=True):
        (scenario,) = load_text(path.read_text(), path)
        result = Result(scenario, Judgement(status, "it is said"), History(), None, SECONDS, 1, "echo", 0)
        rows[scenario.title] = shipped("", result)
    player = str(Path(__file__).with_name("standin_player.py"))
    return (sys.executable, "-I", "-S", player, json.dumps({"facts": FACTS}), json.dumps(rows), str(poison))


if __name__ == "__main__":
    poison, words = int(sys.argv[1]), sys.argv[2:]
    player = command([Path(word) for word in words if word.endswith(".rdzv.yaml")], poison)
    DaskCluster.at = classmethod(lambda cls, address: cls(f"tcp:{address}", 0, player))  # type: ignore[assignment]
    sys.exit(main(words))
