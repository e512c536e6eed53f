"""What a run and its controllers say to each other: one line of JSON at a time, bounded, and checked when it is read.

A controller may have been taken over by what it runs. So the parent takes from it nothing but an `Answer`, and never
waits for the rest of a line.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.play.options import Order
from harness.scenario.codec import decode, encode

LONGEST_ANSWER_BYTES = 64 << 10
"""A description of a world has 400 bytes; a reason why something failed is cut to `LONGEST_REASON`."""

LONGEST_ORDER_BYTES = 64 << 20
"""A scenario file has at most 1 MiB; the longest order of the harness's own scenarios has 18 KB."""

LONGEST_REASON = 4000

SEND_LIMIT_SECONDS = 10.0
"""An order fits into the socket's buffer, or the controller reads it at once; one that is stopped does not."""


class BadAnswer(Exception):
    """A controller sent what none sends; it is to be replaced."""


@dataclass(frozen=True)
class Ready:
    """The controller can play; `world` and `versions` are what it says before anything is played."""

    world: Mapping[str, Any]
    versions: Mapping[str, Any]


@dataclass(frozen=True)
class Played:
    """The play in that run directory is over; `problem` says why its history is not whole, and is empty if it is."""

    run_dir: Path
    problem: str = ""


@dataclass(frozen=True)
class Failed:
    """The controller ends, for that reason."""

    reason: str


Answer = Ready | Played | Failed


class ParentEnd:
    """The parent's end. Reading never waits: `fileno` says when there is something to read."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._socket.setblocking(False)
        self._begun = b""

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def send(self, order: Order) -> None:
        """Send an order. A controller that is gone, or does not read, shows when its answer is read."""
        line = order.to_json().encode() + b"\n"
        self._socket.settimeout(SEND_LIMIT_SECONDS)
        try:
            self._socket.sendall(line)
        except TimeoutError:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        finally:
            self._socket.setblocking(False)

    def receive(self) -> Answer | None:
        """The answer; None while it is not whole.

        Raises EOFError or OSError if the controller is gone, BadAnswer if it sent anything else.
        """
        try:
            piece = self._socket.recv(LONGEST_ANSWER_BYTES)
        except BlockingIOError:
            return None
        if not piece:
            raise EOFError
        self._begun += piece
        line, newline, rest = self._begun.partition(b"\n")
        if rest or len(self._begun) > LONGEST_ANSWER_BYTES:
            raise BadAnswer(f"more than an answer: {len(self._begun)} bytes")
        if not line.startswith(b"{"):
            raise BadAnswer("no object of JSON")
        if not newline:
            return None
        self._begun = b""
        return read_answer(line)


def read_answer(line: bytes) -> Answer:
    """The answer in a line; raises BadAnswer, which says what is wrong with it."""
    try:
        answer: Answer = decode(json.loads(line), Answer)
    except (ValueError, RecursionError) as error:
        raise BadAnswer(str(error)[:200]) from None
    return answer


class ControllerEnd:
    """The controller's end: it trusts its parent, and waits for it. EOFError or OSError: the parent is gone."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._lines = sock.makefile("rb")

    def fileno(self) -> int:
        return self._socket.fileno()

    def send(self, answer: Answer) -> None:
        if isinstance(answer, Failed):
            answer = Failed(answer.reason[:LONGEST_REASON])
        elif isinstance(answer, Played):
            answer = replace(answer, problem=answer.problem[:LONGEST_REASON])
        self._socket.sendall(json.dumps(encode(answer, Answer)).encode() + b"\n")

    def receive(self) -> Order:
        """The next order; raises ValueError if it is none of this version."""
        line = self._lines.readline(LONGEST_ORDER_BYTES)
        if not line.endswith(b"\n"):
            raise EOFError
        return Order.from_json(line)
