"""A campaign on machines with networks and folders of their own, of which each kind is lost: every play has one result.

On a push stand-ins of players say 200 results; at night real players play 200, with twenty seeds.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from booting import life_pipe
from one_campaign import Campaign

from harness.machine.process import boot
from harness.machine.process.namespaces import probe_elsewhere

HERE = Path(__file__).resolve().parent
KINDS = ("worker", "nanny", "cable", "driver", "interrupt")
REPEAT = 100
POISON = 50
WITHIN_S = 600
NOTHING = {"players": [], "processes": [], "files": [], "ports": [], "networks": 0}


def _on_a_site(name: str, folder: Path, **words: Any) -> Any:
    """What a function of `cabled_site` saw, in private namespaces."""
    found = probe_elsewhere()
    if not found.possible:
        pytest.skip(f"no namespaces: {found.reason}")
    pytest.importorskip("distributed")
    script = [sys.executable, str(HERE / "cabled_site.py"), name, str(folder), json.dumps(words)]
    paths = os.pathsep.join(map(str, (HERE.parents[1], HERE)))
    with life_pipe() as life:
        done = subprocess.run(
            boot.argv(sys.executable, life, "private", script),
            env={**os.environ, "PYTHONPATH": paths},
            cwd=folder,
            pass_fds=[life],
            capture_output=True,
            text=True,
            timeout=WITHIN_S,
        )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def _check_losses(seen: Mapping[str, Any], campaign: Campaign) -> list[Any]:
    """Each loss was one, nothing that was recorded was played again, and nothing is left; returns the rows."""
    rows = campaign.check(2 * REPEAT)
    assert (seen["worker"], seen["nanny"]) == ({"ended": True}, {"ended": True})
    assert (seen["cable"]["reached"], seen["cable"]["alive"]) == (False, True)
    recorded = campaign.recorded()
    for again in (seen["driver"], seen["interrupt"]):  # the ledger is longer, and what it had is where it was
        assert recorded[: len(again["recorded"])] == again["recorded"]
    assert seen["interrupt"]["code"] == 130
    assert 0 < seen["interrupt"]["reported"] <= len(seen["interrupt"]["recorded"])
    assert seen["left"] == NOTHING
    return rows


def _statuses(rows: list[Any]) -> dict[tuple[str, int], str]:
    return {(row["id"], row["attempt"]): row["status"] for row in rows}


def _campaign(folder: Path) -> Campaign:
    return Campaign(folder, "", ())


def test_each_kind_of_loss_leaves_each_play_one_result(tmp_path: Path) -> None:
    """200 plays; a worker, a nanny, a cable, the driver, Ctrl-C, and a play that kills its worker."""
    seen = _on_a_site("losses", tmp_path, seed=1, repeat=REPEAT, kinds=KINDS, poison=POISON)
    rows = _check_losses(seen, _campaign(tmp_path))
    assert seen["code"] == 3
    expected = {("joins", number): "passed" for number in range(1, REPEAT + 1)}
    expected |= {("is-red", number): "failed" for number in range(1, REPEAT + 1)}
    assert _statuses(rows) == expected | {("joins", POISON): "error"}
    (poisoned,) = [row for row in rows if row["status"] == "error"]
    assert poisoned["because"].startswith("three workers died playing it")


@pytest.fixture(scope="module")
def on_one_machine(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, int], str]:
    """The status of each play of a site's campaign, played by `run --jobs` on this machine."""
    folder = tmp_path_factory.mktemp("alone")
    sys.path.insert(0, str(HERE))
    from cabled_site import PLAYS, write_cells

    write_cells(folder)
    command = [sys.executable, "-m", "harness.cli", "--no-config", "run", *PLAYS, "--repeat", str(REPEAT)]
    done = subprocess.run([*command, "--jobs", "2", "--json", "alone.json"], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    return _statuses(json.loads((folder / "alone.json").read_text())["results"])


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(1, 21))
def test_verdicts_are_those_of_one_machine(
    tmp_path: Path, on_one_machine: dict[tuple[str, int], str], seed: int
) -> None:
    """Whatever was lost, in whichever order."""
    seen = _on_a_site("losses", tmp_path, seed=seed, repeat=REPEAT, kinds=KINDS)
    rows = _check_losses(seen, _campaign(tmp_path))
    assert _statuses(rows) == on_one_machine
    assert seen["code"] == 1
    assert seen["interrupt"]["seconds"] < 5  # not on a push: beside other tests the processors are not its own


@pytest.mark.nightly
def test_a_real_play_that_kills_its_worker_is_an_error(tmp_path: Path) -> None:
    """After three workers, each on a machine of its own or started again there; the site lives on."""
    seen = _on_a_site("poison", tmp_path, seed=1)
    assert (seen["code"], seen["left"]) == (3, NOTHING)
    (row,) = _campaign(tmp_path).check(1)
    assert (row["status"], row["because"].split(";")[0]) == ("error", "three workers died playing it")
