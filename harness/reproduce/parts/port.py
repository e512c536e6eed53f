"""Another program on the master's port."""

from __future__ import annotations

import socket
import threading
from typing import Any

from harness.reproduce.parts.fault import Fault


class OtherProgram(Fault):
    """Listens on the master's port; `answers` says what it does with connections.

    unread: none is accepted; nothing: accepted and never read; echo: all bytes go back; http: answered with 400.
    """

    def __init__(self, name: str, answers: str = "unread", address: str = "127.0.0.1", **moments: Any) -> None:
        super().__init__(name, **moments)
        self.answers, self.address = answers, address
        self.sockets: list[socket.socket] = []

    def inject(self, play: Any) -> None:
        family = socket.AF_INET6 if ":" in self.address else socket.AF_INET
        listener = socket.socket(family)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if self.address == "::":
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        elif family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((self.address, play.port))
        listener.listen(128)
        self.sockets.append(listener)
        self.acted = True
        if self.answers != "unread":
            threading.Thread(target=self.accept, args=(listener,), daemon=True).start()

    def accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            self.sockets.append(client)
            if self.answers != "nothing":
                threading.Thread(target=self.answer, args=(client,), daemon=True).start()

    def answer(self, client: socket.socket) -> None:
        try:
            while data := client.recv(65536):
                if self.answers == "echo":
                    client.sendall(data)
                else:
                    client.sendall(b"HTTP/1.0 400 Bad Request\r\nConnection: close\r\n\r\nBad Request\n")
                    client.shutdown(socket.SHUT_WR)
        except OSError:
            return

    def heal(self, play: Any) -> None:
        for one in self.sockets:
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            one.close()
