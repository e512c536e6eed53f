"""host_limits: the kernel gives up earlier, or accepts fewer connections, and gets its old settings back afterwards."""

from __future__ import annotations

import errno
import socket
from pathlib import Path

import pytest
from host_connections import exchange, member, needs
from named_hosts import PORT, town

from harness.faults.base import FAULTS
from harness.values.errors import HarnessError, Unsupported

pytestmark = needs()

FILES = ["core/somaxconn", "ipv4/tcp_retries2", "ipv4/tcp_syn_retries"]


def settings(host) -> list[int]:
    """The kernel settings of a host: backlog, tcp_retries2, tcp_syn_retries."""
    with host.inside():
        return [int(Path(f"/proc/sys/net/{name}").read_text()) for name in FILES]


def test_the_settings_of_its_hosts_change_and_come_back(tmp_path: Path):
    """Only the given settings, on the named hosts."""
    with town(tmp_path) as here:
        before = settings(here.by_name["r1"])
        with member("host_limits", 1, backlog=2, tcp_syn_retries=1).hold(here) as evidence:
            assert settings(here.by_name["r1"]) == [2, before[1], 1]
            assert settings(here.by_name["r0"]) == settings(here.by_name["px"]) == before
            facts = evidence().facts["hosts"]
        assert settings(here.by_name["r1"]) == before
    assert facts["r1"]["former"] == {"backlog": before[0], "tcp_syn_retries": before[2]}


def test_a_connection_fails_after_so_many_retransmissions(tmp_path: Path):
    """One after the first: some 0.6 s instead of a quarter of an hour; both are in the evidence."""
    with town(tmp_path) as here, exchange(here) as at:
        line = at.line("r1", "r0")
        with member("host_limits", 1, tcp_retries2=1).hold(here) as evidence:
            here.by_name["r0"].unplug()
            line.near.sendall(b"x")
            line.near.settimeout(60)  # a neighbour that is silent is asked for seconds before the kernel counts
            with pytest.raises(OSError) as failed:
                line.near.recv(1)
            found = evidence()
    assert failed.value.errno in (errno.ETIMEDOUT, errno.EHOSTUNREACH)
    assert found.touched
    assert found.facts["hosts"]["r1"]["answers_that_stayed_away"] >= 1
    assert found.facts["hosts"]["r1"]["given_up"] == 1


def test_limits_of_patience_touch_nothing_where_every_answer_comes(tmp_path: Path):
    """Without a retransmission the cell will be vacuous."""
    with town(tmp_path) as here, exchange(here) as at:
        line = at.line("r1", "r0")
        with member("host_limits", 1, tcp_retries2=1).hold(here) as evidence:
            assert line.passes()
            found = evidence()
    assert found.touched is False


def test_a_queue_is_as_short_as_it_says_for_who_begins_to_listen(tmp_path: Path):
    """A backlog of 1 holds two connections; the third is not accepted, and counted."""
    with town(tmp_path) as here:
        r0, r1 = here.by_name["r0"], here.by_name["r1"]
        with member("host_limits", 0, backlog=1).hold(here) as evidence:
            with r0.inside():
                server = socket.create_server((r0.address, PORT), backlog=100)
            with server, r1.inside():
                with socket.create_connection((r0.address, PORT)), socket.create_connection((r0.address, PORT)):
                    assert evidence().facts["hosts"]["r0"]["shortened_queues"] == 1
                    with pytest.raises(TimeoutError):
                        socket.create_connection((r0.address, PORT), timeout=0.4)
                found = evidence()
    assert found.touched
    assert found.facts["hosts"]["r0"]["not_queued"] >= 1


def test_a_queue_that_began_before_is_not_shortened(tmp_path: Path):
    """No connection met the limit: the cell will be vacuous."""
    with town(tmp_path) as here, exchange(here) as at:
        with member("host_limits", 0, backlog=1).hold(here) as evidence:
            at.line("r1", "r0")
            found = evidence()
    assert found.touched is False


def test_what_the_kernel_refuses_is_told_and_undone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The first setting is restored when the second is refused."""
    with town(tmp_path) as here:
        before = settings(here.by_name["r1"])
        with pytest.raises(HarnessError, match="tcp_retries2 of r1 cannot be set"):
            with member("host_limits", 1, backlog=2, tcp_retries2=100_000).hold(here):
                pass
        assert settings(here.by_name["r1"]) == before


def test_settings_that_cannot_be_written_are_told_before_any_rank_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The cell is skipped; the reason ends with what to do."""
    monkeypatch.setattr("harness.faults.host_limits.os.access", lambda *_: False)
    with town(tmp_path) as here, pytest.raises(Unsupported, match="somaxconn cannot be written here; run the harness"):
        member("host_limits", 1, backlog=2).arm(here)


def test_no_limit_is_a_problem_of_the_file():
    """The loader reports it at the fault."""
    assert FAULTS["host_limits"].problems({"backlog": None, "tcp_retries2": None, "tcp_syn_retries": None})
    assert not FAULTS["host_limits"].problems({"backlog": 1})
