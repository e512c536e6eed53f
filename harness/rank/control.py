"""What the controller tells a rank: begin, go, skip, leave; and that the controller is gone."""

from __future__ import annotations

import json
import os
import threading
from typing import Any, Dict, Mapping, Optional

CONTROLLER_GONE = 97
_BUFFER_BYTES = 65536


class Control:
    """The rank's end of its control pipe, read by one daemon thread.

    When the pipe ends, the controller is gone and the process ends at once with status 97, whatever it is doing.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
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
            self._open(index, "the play has ended")

    def _gate(self, index: int) -> _Gate:
        with self._lock:
            if index not in self._gates:
                self._gates[index] = _Gate()
            return self._gates[index]


class _Gate:
    """Where a step waits for its moment."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.because: Optional[str] = None
