"""Durations, sizes and rates: read from text, resolved, and shown."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from harness.values.quantity import SLACK_NS, Duration, format_ns, parse_duration, parse_rate, parse_size

MS, SECOND = 1_000_000, 1_000_000_000


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("250ms", Duration(250 * MS)),
        ("1.5 s", Duration(1_500 * MS)),
        ("2min", Duration(120 * SECOND)),
        ("40us", Duration(40_000)),
        ("timeout", Duration(0, 1.0)),
        ("timeout + 1s", Duration(SECOND, 1.0)),
        ("timeout + slack", Duration(SLACK_NS, 1.0)),
        ("2 * timeout + 250ms - slack", Duration(SECOND // 4 - SLACK_NS, 2.0)),
        ("1s + slack+slack", Duration(SECOND + 2 * SLACK_NS)),
        ("3 * timeout", Duration(0, 3.0)),
        ("timeout * 0.5 - 250ms", Duration(-250 * MS, 0.5)),
        ("1s + 1s-500ms", Duration(1_500 * MS)),
    ],
)
def test_a_duration_is_a_sum_of_times_and_timeouts(text: str, duration: Duration) -> None:
    """Each term has a unit or is a multiple of `timeout`."""
    assert parse_duration(text) == duration


@pytest.mark.parametrize(
    "value",
    [
        5,
        1.5,
        True,
        None,
        "",
        "5",
        "s",
        "5 parsecs",
        "1s 2s",
        "1s +",
        "5s * 2",
        "-1s",
        "slack",
        "slack + 1s",
        "2 * slack",
    ],
)
def test_anything_else_is_not_a_duration(value: object) -> None:
    """The message says what to write instead."""
    with pytest.raises(ValueError, match=r"is not a duration with a unit; write .* timeout \+ 1s"):
        parse_duration(value)


def test_a_bare_number_is_suggested_with_seconds() -> None:
    """What most people mean by it."""
    for value in (5, "5"):
        with pytest.raises(ValueError, match=r"; write 5s \("):
            parse_duration(value)


@pytest.mark.parametrize(
    "text", ["50000min", "86401s", "1001 * timeout", "9" * 320 + "s", "1s + " + "9" * 400 + " * timeout"]
)
def test_a_duration_that_no_play_takes_is_refused(text: str) -> None:
    """However many digits it has; the message is short."""
    with pytest.raises(ValueError, match=r"is too long; write at most (86400s|1000 \* timeout)\Z") as caught:
        parse_duration(text)
    assert len(str(caught.value)) < 120


@pytest.mark.parametrize(
    ("text", "read"), [("1025GiB", parse_size), ("9" * 400 + "B", parse_size), ("1001MB/s", parse_rate)]
)
def test_an_amount_that_no_machine_has_is_refused(text: str, read: Callable[[object], int]) -> None:
    """With the largest that may be written."""
    with pytest.raises(ValueError, match=r"is too much; write at most (1024GiB|1000MB/s)\Z"):
        read(text)


def test_a_duration_is_resolved_for_a_timeout() -> None:
    """`2 * timeout - 1s` of 1.5 s is 2 s."""
    assert Duration(-SECOND, 2.0).resolve(1_500 * MS) == 2 * SECOND


@pytest.mark.parametrize(("text", "size"), [("5B", 5), ("100KB", 100_000), ("512MiB", 512 * 1024**2), ("0.5 KiB", 512)])
def test_a_size_is_a_number_of_bytes(text: str, size: int) -> None:
    """Decimal and binary units."""
    assert parse_size(text) == size


def test_a_rate_is_a_number_of_bytes_per_second() -> None:
    """Its units are those of sizes, per second."""
    assert parse_rate("1.5MB/s") == 1_500_000


@pytest.mark.parametrize(
    ("read", "text", "meant"),
    [
        (parse_duration, "3sec", "3s"),
        (parse_duration, "3 seconds", "3s"),
        (parse_duration, "3S", "3s"),
        (parse_duration, "200msec", "200ms"),
        (parse_duration, "2m", "2min"),
        (parse_duration, "40µs", "40us"),
        (parse_size, "10k", "10KB"),
        (parse_size, "1 kb", "1KB"),
        (parse_size, "1.5g", "1.5GiB"),
        (parse_size, "64mib", "64MiB"),
        (parse_size, "5 bytes", "5B"),
        (parse_rate, "10k", "10KB/s"),
        (parse_rate, "10KB", "10KB/s"),
        (parse_rate, "1 mb/s", "1MB/s"),
    ],
)
def test_another_name_of_a_unit_is_suggested_with_the_unit_and_the_same_number(
    read: Callable[[object], object], text: str, meant: str
) -> None:
    """`3sec` is answered by `3s`, `10k` by `10KB`: what was meant, not an example; and that can be written."""
    with pytest.raises(ValueError, match=rf"; write {re.escape(meant)} \("):
        read(text)
    read(meant)


@pytest.mark.parametrize("value", [5, "5", "5 B/s", "1 tb", None])
def test_anything_else_is_not_a_size(value: object) -> None:
    """Units are written as they are, and no other."""
    with pytest.raises(ValueError, match="is not a size with a unit; write 5B"):
        parse_size(value)


def test_a_part_of_a_byte_is_refused() -> None:
    """It would be rounded silently."""
    with pytest.raises(ValueError, match=r"'0\.5B' is not a whole number of B"):
        parse_size("0.5B")


@pytest.mark.parametrize(
    ("duration_ns", "text"),
    [
        (5_030 * MS, "5.03 s"),
        (SECOND, "1.00 s"),
        (999 * MS, "999 ms"),
        (1_500_000, "2 ms"),
        (40_000, "40 us"),
        (7, "7 ns"),
        (0, "0 s"),
        (-250 * MS, "-250 ms"),
    ],
)
def test_a_duration_is_shown_in_its_largest_unit(duration_ns: int, text: str) -> None:
    """Seconds have two digits, the smaller units none."""
    assert format_ns(duration_ns) == text
