"""The time line, as the exact text that `show` prints."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import happenings
import pytest
from happenings import error, op

from harness.reports.timeline import TimelineReport, View, lines, of_history, of_result
from harness.values.history import History
from harness.values.ops import Op
from harness.values.wire import QUERY, Wire, WireMessage

MUTED = """\
a-muted-link-costs-one-timeout: failed
subject static   torch 2.15.0   proxy toxiproxy-server 2.12.0 (found on PATH)   isolation private namespaces

      time    rank 0              rank 1                                       nemesis
  -0.020 s    ready               ready
   0.000 s    ── the clock starts ──
   0.001 s    join ▶              join ▶
   0.004 s                        join ✓ 3 ms as 1/2
   0.005 s    join ✓ 4 ms as 0/2
   0.006 s                                                                     mute ▶ blackhole on 1
   0.008 s                                                                     mute ✓ in place
   0.009 s *                      get ▶
   9.009 s *                      get ∞ 9.00 s no answer within its guard of…
   9.010 s                        exit † signal 9 by guard
   9.020 s                                                                     heal mute ▶
   9.021 s                                                                     heal mute ✓ touched
   9.022 s    exit ▶
   9.040 s    exit ✓ 18 ms
   9.051 s    ── end ──

▶ begins   ✓ ok   ✗ failed   † died   ∞ hung   ○ skipped   * proves a broken claim

* in-time: get of rank 1 hung
* no_hang: 1 call hung

who waited for whom
  +0.009 s  rank 1 waits in get("ready"): the fault mute (blackhole) was in place on the link of \
rank 1 from +0.01 s on (likely)   [link torn]
  +0.009 s  rank 1 waits in get("ready"): no rank sets the key   [key never set]
"""


def test_a_run_is_a_time_line_with_a_column_per_rank() -> None:
    """Ranks, nemesis and controller on one clock; the proof is marked."""
    text = of_result(happenings.result(happenings.red_judgement()), View(width=100))
    assert text == MUTED


@pytest.mark.parametrize(
    ("wire", "no_wire", "says"),
    [
        (Wire((WireMessage(1, 1, 1, 1, QUERY, "add"),)), "", "wire 1 messages"),
        (
            Wire((), 4, 2),
            "",
            "wire 0 messages, 4 older ones are missing, 2 connections were not decoded to their end",
        ),
        (None, "no proxy is on the way", "wire not recorded: no proxy is on the way"),
    ],
)
def test_the_head_has_the_origin_and_the_wire(wire: Wire | None, no_wire: str, says: str) -> None:
    """When and where a run was played, what its id is, and whether the messages were recorded."""
    machine = {"kernel": "6.1.0", "cores": 2, "memory_bytes": 8_400_000_000, "libc": "glibc 2.36", "python": "3.11.7"}
    origin = {"started_at": "2026-12-01T12:00:00.000Z", "machine": machine, "play": "0123456789abcdef"}
    begin = op(-1, "controller", "ok", "begin", value={"size": 1, "no_wire": no_wire})
    history = replace(History.of([begin]), wire=wire)
    text = of_result(happenings.result(history=history, origin=origin), View(width=100))
    where = "Linux 6.1.0, 2 cores, 8.4 GB, glibc 2.36, Python 3.11.7"
    assert text.splitlines()[2:4] == [
        f"play 0123456789abcdef   started 2026-12-01T12:00:00.000Z   on {where}",
        says,
    ]


def world(size: int, *more: Op) -> History:
    """`size` ranks that are ready, and more."""
    begin = op(-1, "controller", "ok", "begin", value={"size": size})
    return History.of([begin, *(op(1, rank, "info", "ready") for rank in range(size)), *more])


def test_ranks_that_do_not_fit_are_wrapped_in_groups() -> None:
    """No column is lost, whatever the terminal."""
    text = of_history(world(7), View(width=100))
    headers = [line.split()[1:] for line in text.splitlines() if line.lstrip().startswith("time")]
    names = [f"rank {rank}" for rank in range(7)]
    assert " ".join(" ".join(header) for header in headers).replace(" nemesis", "") == " ".join(names)
    assert len(headers) == 3


@pytest.mark.parametrize("width", [60, 100, 141])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    """A cell that does not fit is cut visibly."""
    long = error("DistNetworkError", "x" * 300)
    history = world(
        4,
        op(2, 3, "fail", "get", "a" * 90, error=long),
        op(2, "nemesis", "fail", "inject", "cut", value={"because": "y" * 200}),
    )
    table = [line for line in lines(history, View(width)) if not line.startswith("▶")]
    assert max(map(len, table)) <= width
    assert any("…" in line for line in table)


def test_only_the_ranks_asked_for_are_shown_and_the_rest_named() -> None:
    """`--ranks` picks columns; the notice says how to see the others."""
    text = of_history(world(9), View(width=120, ranks=(4,)))
    assert [word for word in text.splitlines()[0].split() if word.isdigit()] == ["4"]
    assert text.splitlines()[-1] == "ranks not shown: 0-3,5-8 (--ranks 0-3,5-8)"


def test_many_lines_are_cut_with_a_notice() -> None:
    """The limit is visible, and 0 takes it away."""
    history = world(1, *(op(10 * number, 0, "invoke", f"step{number}", f"step{number}") for number in range(1, 31)))
    cut = of_history(history, View(width=100, lines=10))
    assert "… 21 more lines cut here (--lines 0 shows all)" in cut
    assert "step30" in of_history(history, View(width=100, lines=0))


def test_a_long_row_of_good_calls_is_told_in_one_notice() -> None:
    """Of 100 calls the first two, the last, and the one that failed are shown."""
    calls: list[Op] = []
    for number in range(1, 101):
        calls.append(op(10 * number, 0, "invoke", "get", "get", call=number))
        ended = {"type": "fail", "error": error("DistStoreError", "x")} if number == 50 else {"type": "ok"}
        calls.append(op(10 * number + 2, 0, f="get", step="get", call=number, **ended))  # type: ignore[arg-type]
    text = of_history(world(1, *calls), View(width=100))
    shown = ["get", "get", "get#2", "get#2", "get#50", "get#50", "get#100", "get#100", "get,"]
    assert [word for word in text.split() if word.startswith("get")] == shown
    assert "get#50 ✗ 2 ms DistStoreError" in text
    assert text.splitlines()[-1] == "rank 0: 96 more calls of get, all ok"


def test_every_way_to_end_has_its_sign() -> None:
    """Values, errors, deaths, skips, threads, lives and exits in short."""
    history = world(
        1,
        op(10, 0, "ok", "get", "get", value="1", thread="watchdog"),
        op(20, 0, "info", "get", "get2", value={"outcome": "died", "because": "its process was killed"}),
        op(30, 0, "info", "set", "set", value={"outcome": "skipped", "because": "no store"}),
        op(40, 0, "info", "ready", life=2),
        op(50, 0, "fail", "exit", "exit", error=error("ExitStatus", "status 3")),
        op(60, 0, "ok", "add", "add", value=5, call=2),
        op(65, "controller", "ok", "lag", lag_ns=19_000_000),
        op(70, "controller", "ok", "lag", lag_ns=35_000_000),
        op(80, "controller", "ok", "left_behind", value={"processes": [12], "sockets": [], "proxies": []}),
        op(90, "controller", "ok", "end", value={"error": "the proxy was lost"}),
    )
    shown = [line[14:] for line in of_history(history, View(width=120)).splitlines()[2:11]]
    assert shown == [
        'watchdog: get ✓ "1"',
        "get2 † its process was killed",
        "set ○ no store",
        "ready life 2",
        "exit ✗ status 3",
        "add#2 ✓ 5",
        "── the machine was late by 35 ms ──",
        '── left behind: {"processes": [12]} ──',
        "── the harness failed: the proxy was lost ──",
    ]


def test_lateness_that_nothing_came_between_is_one_line() -> None:
    """With the shortest, the longest and the number, for each part; an operation of a rank begins another line."""
    history = world(
        1,
        *(
            op(60 + number, "controller", "ok", "lag", lag_ns=lag * 1_000_000)
            for number, lag in enumerate((35, 90, 60))
        ),
        op(70, 0, "ok", "add", "add", value=5),
        op(80, "controller", "ok", "lag", lag_ns=40_000_000),
    )
    text = of_history(history, View(width=120))
    marks = [line[14:] for line in text.splitlines() if "late" in line]
    assert marks == ["── the machine was late by 35 ms to 90 ms, 3 times ──", "── the machine was late by 40 ms ──"]


def test_what_the_nemesis_did_is_told_with_its_evidence() -> None:
    """In place, refused, healed, touched or not, or unproven; and by which of several mechanisms."""
    history = world(
        1,
        op(10, "nemesis", "invoke", "inject", "kill", value={"kind": "kill", "ranks": [0, 2]}),
        op(20, "nemesis", "fail", "inject", "kill", value={"because": "no living process"}),
        op(30, "nemesis", "ok", "heal", "down", value={"touched": False}),
        op(40, "nemesis", "ok", "heal", "noise", value={"touched": None}),
        op(50, "nemesis", "fail", "heal", "port", value={"because": "still there"}),
        op(60, "nemesis", "ok", "heal", "late", value={"touched": True, "facts": {"by": "netem"}}),
    )
    shown = [line.split("  ")[-1].strip() for line in of_history(history, View(width=120)).splitlines()[2:8]]
    assert shown == [
        "kill ▶ on 0,2",
        "kill ✗ no living process",
        "heal down ✓ touched nothing",
        "heal noise ✓ unproven",
        "heal port ✗ still there",
        "heal late ✓ touched, by netem",
    ]


def test_an_empty_history_says_so() -> None:
    """A run that was killed before it began can be shown."""
    assert of_history(History(), View()) == "nothing has happened: the history is empty\n"


def test_hostile_names_cannot_break_the_columns() -> None:
    """Line breaks and escapes in values become visible."""
    text = of_history(world(1, op(5, 0, "ok", "get", "get", value="a\nb\x1b[2J")), View(width=120))
    assert 'get ✓ "a\\nb\\u001b[2J"' in text


def test_the_report_of_a_run_has_all_its_time_lines(tmp_path: Path) -> None:
    """As a report it leaves out what was never played."""
    path = tmp_path / "t.txt"
    unplayed = happenings.result(history=History())
    TimelineReport.to(path).closed([happenings.result(), unplayed, happenings.result()], interrupted=False)
    assert path.read_text().count("the clock starts") == 2
