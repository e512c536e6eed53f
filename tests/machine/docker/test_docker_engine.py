"""Finding Docker: each way in which it is absent has a reason of its own, and each reason ends with what to do."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.machine.docker import engine
from harness.values.errors import Unsupported

ALL_IS_WELL = {
    "/version": '{"Version": "28.2.2", "ApiVersion": "1.50", "MinAPIVersion": "1.24"}',
    "/info": '{"OSType": "linux", "Driver": "overlay2", "CgroupVersion": "2", "Architecture": "x86_64"}',
}


def reason(environment: dict[str, str]) -> str:
    with pytest.raises(Unsupported) as caught:
        engine.find(environment, within_s=1)
    assert caught.value.need == "engine"
    return caught.value.reason


class FakeEngine:
    """Sends prepared answers on a socket; without one it accepts connections and stays silent."""

    def __init__(self, path: Path, answers: dict[str, str]) -> None:
        self.url = f"unix://{path}"
        self.answers = answers
        self.open: list[socket.socket] = []
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.open.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        # `close` ends it in the middle of a read.
        with contextlib.suppress(OSError):
            while request := connection.recv(65536).decode():
                path = request.split()[1]
                body = next((text for end, text in self.answers.items() if path.endswith(end)), None)
                if body is not None:
                    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
                    connection.sendall((head + body).encode())

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for connection in self.open:
            connection.close()


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeEngine]:
    made = FakeEngine(tmp_path / "engine.sock", dict(ALL_IS_WELL))
    yield made
    made.close()


def test_a_docker_that_answers_is_described(fake: FakeEngine) -> None:
    """Versions, storage driver, control groups, and whether folders of this machine can be mounted in it."""
    found = engine.find({"DOCKER_HOST": fake.url})
    assert found == engine.DockerEngine(fake.url, "28.2.2", "1.50", "overlay2", 2, False)
    assert found.local
    assert str(found) == f"28.2.2, API 1.50, overlay2, cgroup v2 ({fake.url})"


def test_a_rootless_docker_is_recognized(fake: FakeEngine) -> None:
    """The networks of its containers cannot be entered."""
    fake.answers["/info"] = '{"OSType": "linux", "SecurityOptions": ["name=seccomp", "name=rootless"]}'
    found = engine.find({"DOCKER_HOST": fake.url})
    assert (found.rootless, found.cgroup) == (True, 1)


@pytest.mark.parametrize(
    ("path", "answer", "words"),
    [
        ("/version", '{"Version": "19.3", "ApiVersion": "1.40"}', "API 1.40, older than 1.41; upgrade it"),
        ("/info", '{"OSType": "windows"}', "containers of windows; name one of Linux"),
    ],
)
def test_a_docker_of_another_kind_is_refused(path: str, answer: str, words: str, fake: FakeEngine) -> None:
    """Too old, or not of Linux."""
    fake.answers[path] = answer
    assert words in reason({"DOCKER_HOST": fake.url})


def test_a_docker_that_stays_silent_is_given_up(fake: FakeEngine) -> None:
    """Within the limit; the reason names its socket."""
    fake.answers.clear()
    text = reason({"DOCKER_HOST": fake.url})
    assert fake.url in text
    assert text.endswith("check that it runs (`docker version`), or name another one in DOCKER_HOST")


def test_a_dead_docker_is_reported(tmp_path: Path) -> None:
    """Its socket file is there, but nothing listens behind it."""
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(str(tmp_path / "dead.sock"))
    assert reason({"DOCKER_HOST": f"unix://{tmp_path}/dead.sock"}) == (
        f"nothing listens behind {tmp_path}/dead.sock any more; start Docker again, or name another one in DOCKER_HOST"
    )


def test_a_missing_socket_is_reported() -> None:
    """DOCKER_HOST names it, so DOCKER_HOST is to be corrected."""
    assert reason({"DOCKER_HOST": "unix:///no/engine.sock"}) == (
        "there is no /no/engine.sock, which DOCKER_HOST names; correct DOCKER_HOST or unset it"
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as an ordinary user")
def test_a_forbidden_socket_is_reported(fake: FakeEngine) -> None:
    """The reason names the user, and says that the group gives access."""
    path = Path(fake.url.removeprefix("unix://"))
    path.chmod(0o660)
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.setresgid(65534, 65534, 65534)
            os.setresuid(65534, 65534, 65534)
            text = reason({"DOCKER_HOST": fake.url})
            code = 0 if "may not open" in text and "add this user to the group" in text else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_no_docker_at_all_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason names three ways to get one."""
    monkeypatch.setattr(engine, "_DEFAULT_SOCKETS", ("/no/engine.sock", "{XDG_RUNTIME_DIR}/docker.sock"))
    text = reason({})
    assert text.startswith("no Docker engine on this machine (there is no /no/engine.sock); install one")
    assert "DOCKER_HOST" in text
    assert "rdzv-harness docker start" in text


def test_a_user_may_have_a_docker_of_their_own(fake: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its socket is in the user's runtime folder; it is used where the system has none."""
    path = Path(fake.url.removeprefix("unix://"))
    monkeypatch.setattr(engine, "_DEFAULT_SOCKETS", ("/no/engine.sock", "{XDG_RUNTIME_DIR}/engine.sock"))
    assert engine.find({"XDG_RUNTIME_DIR": str(path.parent)}).url == fake.url


def test_a_malformed_url_is_reported() -> None:
    """As a reason, not as an exception of the SDK."""
    assert reason({"DOCKER_HOST": "what"}).startswith("Docker at what cannot be used (")
