"""What the controller tells a rank: begin, go, skip, leave; and that the controller is gone."""

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

    When the pipe ends, the controller is gone and the process ends at once with status 97, whatever it is doing.

    Args:
        life: whose words these are; a word that names another life was meant for a process before this one.
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
        """Wait until the steps may begin; False if the rank is to leave without having begun."""
        self._started.wait()
        return self._may_begin

    def wait_for_leave(self) -> None:
        self._leave.wait()

    def wait_for_step(self, index: int) -> Optional[str]:
        """Wait for a gated step's turn; None says go, a text says why it is skipped."""
        gate = self._gate(index)
        gate.open.wait()
        return gate.because

    def _listen(self) -> None:
        rest = b""
        while True:
            data = os.read(self._fd, _BUFFER_BYTES)
            if not data:
                os._exit(CONTROLLER_GONE)
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                if line.strip():
                    self._obey(json.loads(line))

    def _obey(self, word: Mapping[str, Any]) -> None:
        if word.get("life", self._life) != self._life:
            return
        if "go" in word:
            self._open(word["go"], None)
        elif "skip" in word:
            self._open(word["skip"], str(word.get("because", "")))
        elif "begin" in word:
            self._may_begin = True
            self._started.set()
        elif "leave" in word:
            self._release()

    def _open(self, index: int, because: Optional[str]) -> None:
        gate = self._gate(index)
        if not gate.open.is_set():
            gate.because = because
            gate.open.set()

    def _release(self) -> None:
        """Let everything go on to the end: what still waits at a gate is skipped."""
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
                    gate.because = _PLAY_ENDED
                    gate.open.set()
            return gate


class ControlUntilBegun(Control):
    """Reads the pipe until the rank may begin, byte by byte: what comes after that is for others to read."""

    def _listen(self) -> None:
        line = b""
        while not self._started.is_set():
            byte = os.read(self._fd, 1)
            if not byte:
                os._exit(CONTROLLER_GONE)
            line += byte
            if byte == b"\n":
                self._obey(json.loads(line))
                line = b""
        poll = select.poll()
        # Asked for nothing, it tells of the end alone.
        poll.register(self._fd, 0)
        poll.poll()
        os._exit(CONTROLLER_GONE)


class _Gate:
    """Where a step waits for its moment."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.because: Optional[str] = None
