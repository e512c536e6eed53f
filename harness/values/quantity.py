"""Quantities with units: durations, sizes and rates, from text to numbers and back."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Union

NANOSECONDS = {"us": 1_000, "ms": 1_000_000, "s": 1_000_000_000, "min": 60_000_000_000}
BYTES = {"B": 1, "KB": 1000, "MB": 1000**2, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
BYTES_ON_DISK = {**BYTES, "GB": 1000**3}
BYTES_PER_SECOND = {"B/s": 1, "KB/s": 1000, "MB/s": 1000**2}

LONGEST_NS = 86_400_000_000_000
"""A day, as the longest duration that may be written. It is far more than any play takes, and milliseconds of it fit
into 32 bits, which is what `poll` and torch's timeouts take."""

SLACK_NS = 1_000_000_000
"""What a call may take beyond its timeout, `slack` in a duration. Torch's client pauses half a second between two tries
and looks at its deadline between them, so a call may end that much later, and an error takes time to be made. On torch
2.15, calls of static-strict that gave up at their deadline ended at most 27 ms after it where little else ran; calls of
stock mostly within 60 ms, and a master's join without its workers, which counts whole seconds, after 1.02 s. What
machine and harness add is no part of it: that is measured (`harness.history.lateness`)."""

MOST_TIMEOUTS = 1000
"""The largest factor of `timeout`: with it a timeout of a minute makes most of a day."""

MOST_BYTES = 1 << 40
"""The largest size: a tebibyte, more than any machine of a test has as memory."""

MOST_BYTES_ON_DISK = 1_000_000_000_000_000
"""The largest limit of a folder: more than a machine's disk has."""

MOST_BYTES_PER_SECOND = 1_000_000_000
"""The largest rate: what loopback carries, so a limit above it limits nothing."""

# What else people write for a unit, in small letters. Without one of these a unit is suggested by the examples.
_OTHER_NAMES = {
    "us": ("us", "µs", "μs", "usec", "usecs", "microsecond", "microseconds"),
    "ms": ("ms", "msec", "msecs", "millis", "millisecond", "milliseconds"),
    "s": ("s", "sec", "secs", "second", "seconds"),
    "min": ("m", "min", "mins", "minute", "minutes"),
    "B": ("b", "byte", "bytes"),
    "KB": ("k", "kb"),
    "MB": ("m", "mb"),
    "KiB": ("ki", "kib"),
    "MiB": ("mi", "mib"),
    "GiB": ("g", "gi", "gib"),
}

_NUMBER = r"[0-9]+(?:\.[0-9]+)?"
_SHOWN = 60
_QUANTITY = re.compile(rf"\s*({_NUMBER})\s*([A-Za-z/]+)\s*\Z")
_ALMOST = re.compile(rf"\s*({_NUMBER})\s*([A-Za-zµμ]+)(/s|/sec|ps)?\s*\Z")
_TERM = re.compile(
    rf"\s*(?:(?P<factor>{_NUMBER})\s*\*\s*timeout|timeout\s*\*\s*(?P<factor2>{_NUMBER})|(?P<timeout>timeout)"
    rf"|(?P<slack>slack)|(?P<number>{_NUMBER})\s*(?P<unit>[A-Za-z]+))\s*"
)


@dataclass(frozen=True)
class Duration:
    """A length of time that may depend on the world's timeout: `timeouts * timeout + offset_ns`.

    Attributes:
        offset_ns: the fixed part, in nanoseconds.
        timeouts: the factor of `world.timeout`.
    """

    offset_ns: int = 0
    timeouts: float = 0.0

    def resolve(self, timeout_ns: int) -> int:
        """Nanoseconds, for a world whose timeout is `timeout_ns`."""
        return self.offset_ns + round(self.timeouts * timeout_ns)


def parse_duration(value: object) -> Duration:
    """Read `250ms`, `6s`, `timeout + slack` or `3 * timeout`; `slack`, which is added to something, is `SLACK_NS`.

    Raises ValueError whose text says what to write instead; a bare number is refused with a hint. Each part is at most
    LONGEST_NS or MOST_TIMEOUTS; the sum may be more, or negative.
    """
    if not isinstance(value, str):
        raise ValueError(_hint(value, "a duration", "250ms, 6s, timeout + 1s", f"{value}s"))
    total = Duration()
    position, sign = 0, 1
    while True:
        term = _TERM.match(value, position)
        if term is None or (term["unit"] and term["unit"] not in NANOSECONDS) or (term["slack"] and not position):
            raise ValueError(_hint(value, "a duration", "250ms, 6s, timeout + 1s, 3 * timeout", _meant_time(value)))
        factor = float(term["factor"] or term["factor2"] or ("1" if term["timeout"] else "0"))
        offset_ns = float(term["number"]) * NANOSECONDS[term["unit"]] if term["unit"] else 0.0
        offset_ns = SLACK_NS if term["slack"] else offset_ns
        if factor > MOST_TIMEOUTS:
            raise ValueError(f"{_short(value)} is too long; write at most {MOST_TIMEOUTS} * timeout")
        if offset_ns > LONGEST_NS:
            raise ValueError(f"{_short(value)} is too long; write at most {LONGEST_NS // NANOSECONDS['s']}s")
        total = Duration(total.offset_ns + sign * round(offset_ns), total.timeouts + sign * factor)
        position = term.end()
        if position == len(value):
            return total
        if value[position] not in "+-":
            raise ValueError(_hint(value, "a duration", "250ms, 6s, timeout + 1s, 3 * timeout", "timeout + 1s"))
        sign = 1 if value[position] == "+" else -1
        position += 1


def is_duration(value: object) -> bool:
    """Whether a value reads as a duration, and so cannot be a name."""
    try:
        parse_duration(value)
    except ValueError:
        return False
    return True


def parse_size(value: object) -> int:
    """Read `5B`, `100KB` or `512MiB` as bytes, at most MOST_BYTES; raises ValueError with a hint."""
    return _parse_units(value, BYTES, "a size", "5B, 100KB, 512MiB", MOST_BYTES)


def parse_disk_size(value: object) -> int:
    """Read `40GB` as bytes, at most MOST_BYTES_ON_DISK; raises ValueError with a hint."""
    return _parse_units(value, BYTES_ON_DISK, "a size", "40GB, 500MB", MOST_BYTES_ON_DISK)


def parse_rate(value: object) -> int:
    """Read `100KB/s` as bytes per second, at most MOST_BYTES_PER_SECOND; raises ValueError with a hint."""
    return _parse_units(value, BYTES_PER_SECOND, "a rate", "100KB/s, 1MB/s", MOST_BYTES_PER_SECOND)


def _parse_units(value: object, units: dict[str, int], what: str, examples: str, most: int) -> int:
    match = _QUANTITY.match(value) if isinstance(value, str) else None
    if match is None or match[2] not in units:
        raise ValueError(_hint(value, what, examples, _meant(value, units) or examples.split(",")[0]))
    amount = float(match[1]) * units[match[2]]
    if amount > most:
        largest = max((unit for unit in units if most % units[unit] == 0), key=lambda unit: units[unit])
        raise ValueError(f"{_short(value)} is too much; write at most {most // units[largest]}{largest}")
    if amount != int(amount):
        raise ValueError(f"{_short(value)} is not a whole number of {next(iter(units))}; write {examples}")
    return int(amount)


def _meant_time(text: str) -> str:
    """What a text that is no duration probably means; seconds, if it has no unit at all."""
    if re.fullmatch(_NUMBER, text.strip()):
        return f"{text.strip()}s"
    return _meant(text, NANOSECONDS) or "250ms"


def _meant(value: object, units: dict[str, int]) -> str:
    """A number with another name of one of these units, as it should be written; empty if it is nothing like that."""
    match = _ALMOST.match(value) if isinstance(value, str) else None
    if match is None:
        return ""
    amount, written, per_second = match[1], match[2].lower(), "/s" if "B/s" in units else ""
    if match[3] and not per_second:
        return ""
    names = (f"{unit}{per_second}" for unit, names in _OTHER_NAMES.items() if written in names)
    return next((f"{amount}{name}" for name in names if name in units), "")


def _hint(value: object, what: str, examples: str, suggestion: str) -> str:
    if len(suggestion) > _SHOWN:
        suggestion = examples.split(",")[0]
    return f"{_short(value)} is not {what} with a unit; write {suggestion} (for example {examples})"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."


def format_ns(duration_ns: Union[int, float]) -> str:
    """A duration as a person reads it: `5.00 s`, `250 ms`, `40 us`; the sign is kept."""
    for unit, size, digits in (("s", 1e9, 2), ("ms", 1e6, 0), ("us", 1e3, 0)):
        if abs(duration_ns) >= size:
            return f"{duration_ns / size:.{digits}f} {unit}"
    return f"{duration_ns:.0f} ns" if duration_ns else "0 s"
