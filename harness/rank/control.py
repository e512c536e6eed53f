"""The controller's messages to a rank: begin, go, skip, leave; and the end of the pipe when the controller is gone."""

from __future__ import annotations

import json
import os
import select
import threading
from typing import Any, Dict, Mapping, Optional

CONTROLLER_GONE = 97
_BUFFER_BYTES = 65536
_PLAY_ENDED = "the play has ended"


class Control:
    """The rank's end of its control pipe, read by one daemon thread.

    When the pipe ends, the controller is gone, and the process ends at once with status 97, whatever it is doing.

    Args:
        life: this process's. A message that names another life was meant for an earlier process, and is ignored.
    """

    def __init__(self, fd: int, life: int = 1) -> None:
        self._fd = fd
        self._life = life
        self._lock = threading.Lock()
        self._gates: Dict[int, _Gate] = {}
        self._started = threading.Event()
        self._may_begin = False
        self._leave = threading.Event()

    def start(self) -> None:
        os.set_inheritable(self._fd, False)
        threading.Thread(target=self._listen, name="control", daemon=True).start()

    def wait_for_begin(self) -> bool:
        """Wait until the steps may begin; False if the rank must leave before it has begun."""
        self._started.wait()
        return self._may_begin

    def wait_for_leave(self) -> None:
        self._leave.wait()

    def wait_for_step(self, index: int) -> Optional[str]:
        """Wait until a gated step may begin: None if it may, else the reason why it is skipped."""
        gate = self._gate(index)
        gate.open.wait()
        return gate.skip_reason

    def _listen(self) -> None:
        rest = b""
        while True:
            data = os.read(self._fd, _BUFFER_BYTES)
            if not data:
                os._exit(CONTROLLER_GONE)
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                if line.strip():
                    self._handle(json.loads(line))

    def _handle(self, message: Mapping[str, Any]) -> None:
        if message.get("life", self._life) != self._life:
            return
        if "go" in message:
            self._open(message["go"], None)
        elif "skip" in message:
            self._open(message["skip"], str(message.get("because", "")))
        elif "begin" in message:
            self._may_begin = True
            self._started.set()
        elif "leave" in message:
            self._release()

    def _open(self, index: int, skip_reason: Optional[str]) -> None:
        gate = self._gate(index)
        if not gate.open.is_set():
            gate.skip_reason = skip_reason
            gate.open.set()

    def _release(self) -> None:
        """Open all gates: a step that still waits is skipped."""
        self._leave.set()
        self._started.set()
        with self._lock:
            waiting = [index for index, gate in self._gates.items() if not gate.open.is_set()]
        for index in waiting:
            self._open(index, _PLAY_ENDED)

    def _gate(self, index: int) -> _Gate:
        with self._lock:
            gate = self._gates.get(index)
            if gate is None:
                gate = self._gates[index] = _Gate()
                if self._leave.is_set():
                    gate.skip_reason = _PLAY_ENDED
                    gate.open.set()
            return gate


class ControlUntilBegun(Control):
    """Reads the pipe until the rank may begin, byte by byte: the later messages are for the agent's workers to read."""

    def _listen(self) -> None:
        line = b""
        while not self._started.is_set():
            byte = os.read(self._fd, 1)
            if not byte:
                os._exit(CONTROLLER_GONE)
            line += byte
            if byte == b"\n":
                self._handle(json.loads(line))
                line = b""
        poll = select.poll()
        # With no events asked for, poll returns at the end of the pipe only.
        poll.register(self._fd, 0)
        poll.poll()
        os._exit(CONTROLLER_GONE)


class _Gate:
    """Where a step waits until it may begin."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.skip_reason: Optional[str] = None
