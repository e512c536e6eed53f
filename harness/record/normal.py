"""Messages of errors without what differs from play to play, so that two of them can be compared; case stays."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable

_UNITS = "ns|us|µs|ms|milliseconds?|s|sec|secs|seconds?|min|minutes?|h|hours?"
_SOURCES = "py|cpp|hpp|cc|cu|h|so"
_IPV6 = "[0-9a-fA-F:]*:[0-9a-fA-F:]*:[0-9a-fA-F:.]*"
_ROOTS = "bin|dev|etc|home|lib|lib64|mnt|opt|proc|pytorch|root|run|srv|sys|tmp|usr|var|work|__w"


def _address(match: re.Match[str]) -> str:
    """The text of an address of IPv6; what only looks like one stays, such as `c10::`."""
    try:
        ipaddress.IPv6Address(match["address"])
    except ValueError:
        return match[0]
    return "<address>"


def _place(host: str, port: str) -> str:
    """A pattern of a host and its port, also in brackets: `[::1]:29500`, `(127.0.0.1, 29500)`."""
    return rf"(?P<open>\()?\[?{host}\]?{port}(?(open)\))"


_REPLACED: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    (re.compile(r"\b0x[0-9a-fA-F]+\b"), "<pointer>"),
    (re.compile(rf"(?<![\w<])(?:/[\w.+@-]+)*/[\w.+@-]+\.(?:{_SOURCES})(?::\d+)?\b"), "<path>"),
    (re.compile(rf"(?<![\w<])/(?:{_ROOTS})/[^\s,;:)'\"]*"), "<path>"),
    (re.compile(rf"\b([\w-]+\.(?:{_SOURCES})):\d+\b"), r"\1:<line>"),
    (re.compile(r"(?i)\b(line )\d+\b"), r"\1<line>"),
    (re.compile(_place(r"\b\d{1,3}(?:\.\d{1,3}){3}", r"(?:[:,] ?\d+)?")), "<address>"),
    (re.compile(_place(rf"(?<![\w:])(?P<address>{_IPV6})(?:%\w+)?(?![\w:])", r"(?:[:,] ?\d+)?")), _address),
    (re.compile(_place(r"\b[A-Za-z][\w.-]*", r"(?::|, )\d{4,5}\b")), "<address>"),
    (re.compile(r"(?i)\b(port\W{1,2})\d+\b"), r"\1<port>"),
    (re.compile(r"(?i)\b(pid\W{1,2}|process )\d+\b"), r"\1<pid>"),
    (re.compile(r"\b(fd\W{1,2})\d+\b"), r"\1<fd>"),
    (re.compile(r"\b\d+:\d\d:\d\d(?:\.\d+)?\b"), "<time>"),
    (re.compile(rf"(?<![\w.])-?\d+(?:\.\d+)?(?:e[+-]?\d+)? ?(?:{_UNITS})\b"), "<time>"),
    (re.compile(r"\b(?=[a-f]*\d)(?=\d*[a-f])[0-9a-f]{8,}\b"), "<id>"),
)  # fmt: skip


def normal(message: str) -> str:
    """The first line of a message, with the marks of one play replaced.

    These are addresses, ports, numbers of processes and descriptors, pointers, paths, source lines, durations, and
    random names in hexadecimal. Case, all other numbers and all other words stay.
    """
    lines = message.strip().splitlines()
    line = lines[0] if lines else ""
    for pattern, by in _REPLACED:
        line = pattern.sub(by, line)
    return " ".join(line.split())
