"""The data of the HTML page: a run as columns, and how values are put into a file."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from typing import Any

import happenings
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pasts import Past

from harness.reports.page.block import of_result
from harness.reports.page.columns import columns, differences
from harness.reports.page.embed import packed, script_json, unpacked
from harness.reports.page.lanes import NO_LANE
from harness.reports.page.perfetto import trace_of
from harness.reports.page.picture import MOST_OPS, Picture
from harness.reports.page.strings import Strings
from harness.values.history import History
from harness.values.ops import OUTCOMES, TYPES
from harness.values.wire import DROPPED, FATES, QUERY, REPLY, Wire, WireMessage


def block(history: History | None = None, run_dir: Path | None = None) -> dict[str, Any]:
    """The block of the muted link, or of another history of it."""
    judgement = happenings.red_judgement()
    return of_result(happenings.result(judgement, history or happenings.muted(), run_dir=run_dir))


def with_messages() -> History:
    """Rank 1 asks for a key, and the reply is dropped."""
    zero, ms = happenings.ZERO, happenings.MS
    wire = Wire(
        (
            WireMessage(1, zero + 9 * ms, 1, 3, QUERY, "get", ("/train/ready",), sent_ns=zero + 10 * ms),
            WireMessage(2, zero + 11 * ms, 1, 3, REPLY, "get", (), DROPPED, by="mute-downstream", answers=1),
        ),
        dropped=4,
    )
    return History(happenings.muted().ops, wire)


def test_operations_are_columns_in_the_order_of_the_history() -> None:
    """The place of an operation is its index; times are differences, in microseconds since the clock started."""
    found = block()
    ops, strings = found["ops"], found["strings"]
    assert {len(column) for column in ops.values()} == {len(happenings.muted())}
    times = list(accumulate(ops["t"]))
    assert (times[0], times[3], times[10], times[11]) == (-60_000, 0, 9_000, 9_009_000)
    assert strings[ops["text"][10]] == 'get begins {"key": "ready"}'
    assert (strings[ops["f"][10]], strings[ops["step"][10]], strings[ops["key"][10]]) == ("get", "get", "ready")
    assert TYPES[ops["type"][10]] == "invoke"
    assert ops["lane"][0] == NO_LANE


def test_lanes_are_those_of_the_nemesis_the_store_and_each_thread() -> None:
    """A rank that did nothing has a lane too; the store is the process of the only master."""
    lanes = block()["lanes"]
    assert lanes[0] == {"kind": "nemesis"}
    assert lanes[1] == {"kind": "store", "rank": 0}
    assert lanes[2:] == [{"kind": "rank", "rank": rank, "thread": "main"} for rank in (0, 1)]


def test_a_call_has_its_begin_its_end_and_its_outcome() -> None:
    """Also one that hung; the end of a process is no call, but the end of a life."""
    found = block()
    calls, strings = found["calls"], found["strings"]
    outcomes = [OUTCOMES[number] for number in calls["outcome"]]
    assert [strings[one] for one in calls["label"]] == ["join", "join", "get"]
    assert outcomes == ["ok", "ok", "hung"]
    assert (calls["begin"][2], calls["end"][2]) == (10, 11)
    assert [(one["rank"], one["to"] is None) for one in found["lives"]] == [(0, False), (1, False)]
    assert [(one["died"], one["op"], one["end"]) for one in found["lives"]] == [
        (False, 16, "process ended with status 0"),
        (True, 12, "process was ended by signal 9 (guard)"),
    ]
    assert strings[found["ops"]["text"][12]] == "process was ended by signal 9 (guard)"


def test_a_join_is_named_with_its_run_where_there_are_several() -> None:
    """Two jobs on one port are told apart by it."""
    history = Past(2).join(0, 0.1, 0.2, run_id="a").join(1, 0.1, 0.2, run_id="b").whole()
    found = Picture.of(happenings.scenario(), history, strings := Strings()).to_json()
    assert [strings.texts[one] for one in found["calls"]["label"]] == ["join, run a", "join, run b"]


def test_a_fault_has_its_times_its_lanes_and_its_line() -> None:
    """From when it was tried until it was healed, and whether it touched anything."""
    (fault,) = block()["faults"]
    times = [fault[name] for name in ("tried", "injected", "healing", "healed")]
    assert times == [6_000, 8_000, 9_020_000, 9_021_000]
    assert (fault["name"], fault["lanes"], fault["touched"]) == ("mute", [3], True)
    assert fault["ops"] == [8, 9, 13, 14]


def test_messages_name_their_fate_and_what_they_answer() -> None:
    """The place of a query stands in place of its number, which others may have left out."""
    found = block(with_messages())
    messages, strings = found["messages"], found["strings"]
    assert list(accumulate(messages["t"])) == [9_000, 11_000]
    assert messages["answers"] == [-1, 0]
    assert [FATES[one] for one in messages["fate"]] == ["passed", "dropped"]
    assert messages["sent"] == [1_000, -1]
    assert strings[messages["by"][1]] == "mute-downstream"
    assert found["cut"]["messages"] == 4


def test_what_was_left_out_is_counted() -> None:
    """A history that is too long for a browser is cut at its end."""
    many = [happenings.op(10 + number / 100, 0, "info", "holds") for number in range(MOST_OPS)]
    history = History.of([*happenings.muted().ops, *many])
    found = Picture.of(happenings.scenario(), history, Strings()).to_json()
    assert found["cut"]["ops"] == len(happenings.muted())
    assert len(found["ops"]["t"]) == MOST_OPS


def test_the_block_has_all_that_a_person_asks_for(tmp_path: Path) -> None:
    """Claims with their lines and proof, the scenario's text, waits, stacks, and the ends of logs."""
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "rank-1.life-1.log").write_bytes(b"x" * 5000 + b"\nlast \x1b[31mline\n")
    (tmp_path / "logs" / "empty.log").write_bytes(b"")
    (tmp_path / "stacks").mkdir()
    (tmp_path / "stacks" / "rank-1.life-1.txt").write_text('Thread 1 (idle): "MainThread"\n    get (a/store.py:3)\n')
    found = block(run_dir=tmp_path)
    assert [(one["name"], one["line"], one["evidence"]) for one in found["verdicts"]] == [
        ("in-time", 10, [10, 11]),
        ("no_hang", 0, [11]),
    ]
    assert found["yaml"].startswith("schema: rdzv-scenario/v1\n")
    assert found["waits"]["sentence"].startswith("rank 1 waits in get")
    (stack,) = found["stacks"]
    assert stack["path"] == "stacks/rank-1.life-1.txt"
    assert any("get (a/store.py:3)" in line for line in stack["lines"])
    (log,) = found["logs"]
    assert log["name"] == "rank-1.life-1.log"
    assert log["tail"].endswith("last \\x1b[31mline\n")
    assert log["cut"] > 900


def test_a_call_that_broke_its_time_has_its_deadline() -> None:
    """Where the claim counts from the call's own begin."""
    claims = happenings.scenario().expect
    late = replace(
        happenings.scenario(), expect=tuple(replace(one, within=(0, 3_000 * happenings.MS)) for one in claims)
    )
    result = replace(happenings.result(happenings.red_judgement(), happenings.muted()), scenario=late)
    assert of_result(result)["deadlines"] == [{"claim": "in-time", "op": 10, "at": 3_009_000}]
    assert block()["deadlines"] == []


def test_a_run_that_was_cut_short_is_shown() -> None:
    """Calls still run, and nothing was healed."""
    found = block(History(happenings.muted().ops[:11]))
    assert [OUTCOMES[one] for one in found["calls"]["outcome"]] == ["ok", "ok", "running"]
    assert found["faults"][0]["healed"] is None
    assert all(one["to"] is None for one in found["lives"])


# -- the trace -------------------------------------------------------------------------------------------------------


def test_a_trace_has_a_process_for_each_rank_and_binds_replies_to_queries() -> None:
    """Calls and faults are slices of their length, and each answered query has a flow to its reply."""
    trace = trace_of(happenings.scenario(), with_messages())
    events = trace["traceEvents"]
    names = {one["args"]["name"] for one in events if one["name"] == "process_name"}
    assert names == {"faults", "messages", "rank 0", "rank 1"}
    (hung,) = [one for one in events if one["ph"] == "X" and one["name"] == "get"]
    assert (hung["ts"], hung["dur"], hung["args"]["outcome"]) == (9_000, 9_000_000, "hung")
    (fault,) = [one for one in events if one.get("cat") == "fault"]
    assert (fault["ts"], fault["dur"]) == (8_000, 9_013_000)
    flows = [(one["ph"], one["id"]) for one in events if one["ph"] in "sf"]
    assert flows == [("s", 1), ("f", 1)]
    assert json.loads(json.dumps(trace)) == trace


# -- putting it into a file ------------------------------------------------------------------------------------------

_NESTED = st.recursive(
    st.none() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@settings(max_examples=40)
@given(_NESTED)
def test_embedded_json_is_the_value_and_ends_no_element(value: Any) -> None:
    """Whatever a text holds: no `<`, no `&`, and what a parser of JSON reads is what was written."""
    text = script_json(value)
    assert not set("<>&\u2028\u2029") & set(text)
    assert json.loads(text) == value


@settings(max_examples=40)
@given(_NESTED)
def test_a_packed_value_is_letters_only(value: Any) -> None:
    """It can stand in a script element, and comes back as it was; equal values are equal texts."""
    text = packed(value)
    assert not set("<>&\"'") & set(text)
    assert unpacked(text) == value
    assert packed(value) == text


@pytest.mark.parametrize("text", ["", "no", "H4sI", "H4sIAAAAAAAC/wMAAAAAAAAAAAA="])
def test_what_is_not_packed_is_refused(text: str) -> None:
    """Damage of a block is an error of one kind."""
    with pytest.raises(ValueError, match=r"not packed|Expecting|Incorrect|base64"):
        unpacked(text)


@given(st.lists(st.integers(-(2**50), 2**50)))
def test_differences_add_up_to_the_values(values: list[int]) -> None:
    """What a browser adds up again."""
    assert list(accumulate(differences(values))) == values


def test_columns_of_no_rows_are_empty() -> None:
    """Each name has its column."""
    assert columns(("a", "b"), []) == {"a": [], "b": []}
    assert columns(("a", "b"), [(1, 2), (3, 4)]) == {"a": [1, 3], "b": [2, 4]}


def test_strings_stand_once_and_printable() -> None:
    """The empty text is the first; marks that turn the direction of writing are escapes."""
    strings = Strings()
    assert [strings.position(one) for one in ("a", "b", "a", None, "\u202e\x1b")] == [1, 2, 1, 0, 3]
    assert strings.texts == ["", "a", "b", "\\u202e\\x1b"]
