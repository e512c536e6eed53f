"""Quantities with units: durations, sizes and rates, from text to numbers and back."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Union

NANOSECONDS = {"us": 1_000, "ms": 1_000_000, "s": 1_000_000_000, "min": 60_000_000_000}
BYTES = {"B": 1, "KB": 1000, "MB": 1000**2, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
BYTES_PER_SECOND = {"B/s": 1, "KB/s": 1000, "MB/s": 1000**2}

_NUMBER = r"\d+(?:\.\d+)?"
_QUANTITY = re.compile(rf"\s*({_NUMBER})\s*([A-Za-z/]+)\s*\Z")
_TERM = re.compile(
    rf"\s*(?:(?P<factor>{_NUMBER})\s*\*\s*timeout|timeout\s*\*\s*(?P<factor2>{_NUMBER})|(?P<timeout>timeout)"
    rf"|(?P<number>{_NUMBER})\s*(?P<unit>[A-Za-z]+))\s*"
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
    """Read `250ms`, `6s`, `timeout + 1s` or `3 * timeout`.

    Raises ValueError whose text says what to write instead; a bare number is refused with a hint.
    """
    if not isinstance(value, str):
        raise ValueError(_hint(value, "a duration", "250ms, 6s, timeout + 1s", f"{value}s"))
    total = Duration()
    position, sign = 0, 1
    while True:
        term = _TERM.match(value, position)
        if term is None or (term["unit"] and term["unit"] not in NANOSECONDS):
            bare = f"{value.strip()}s" if re.fullmatch(_NUMBER, value.strip()) else "250ms"
            raise ValueError(_hint(value, "a duration", "250ms, 6s, timeout + 1s, 3 * timeout", bare))
        factor = term["factor"] or term["factor2"] or ("1" if term["timeout"] else "0")
        offset = round(float(term["number"]) * NANOSECONDS[term["unit"]]) if term["unit"] else 0
        total = Duration(total.offset_ns + sign * offset, total.timeouts + sign * float(factor))
        position = term.end()
        if position == len(value):
            return total
        if value[position] not in "+-":
            raise ValueError(_hint(value, "a duration", "250ms, 6s, timeout + 1s, 3 * timeout", "timeout + 1s"))
        sign = 1 if value[position] == "+" else -1
        position += 1


def parse_size(value: object) -> int:
    """Read `5B`, `100KB` or `512MiB` as bytes; raises ValueError with a hint."""
    return _parse_units(value, BYTES, "a size", "5B, 100KB, 512MiB")


def parse_rate(value: object) -> int:
    """Read `100KB/s` as bytes per second; raises ValueError with a hint."""
    return _parse_units(value, BYTES_PER_SECOND, "a rate", "100KB/s, 1MB/s")


def _parse_units(value: object, units: dict[str, int], what: str, examples: str) -> int:
    match = _QUANTITY.match(value) if isinstance(value, str) else None
    if match is None or match[2] not in units:
        raise ValueError(_hint(value, what, examples, examples.split(",")[0]))
    amount = float(match[1]) * units[match[2]]
    if amount != int(amount):
        raise ValueError(f"{value!r} is not a whole number of {next(iter(units))}; write {examples}")
    return int(amount)


def _hint(value: object, what: str, examples: str, suggestion: str) -> str:
    return f"{value!r} is not {what} with a unit; write {suggestion} (for example {examples})"


def format_ns(duration_ns: Union[int, float]) -> str:
    """A duration as a person reads it: `5.00 s`, `250 ms`, `40 us`; the sign is kept."""
    for unit, size, digits in (("s", 1e9, 2), ("ms", 1e6, 0), ("us", 1e3, 0)):
        if abs(duration_ns) >= size:
            return f"{duration_ns / size:.{digits}f} {unit}"
    return f"{duration_ns:.0f} ns" if duration_ns else "0 s"
