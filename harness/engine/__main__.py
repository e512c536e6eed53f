"""Start the engine: `python -m harness.engine --port 0`."""

from __future__ import annotations

import argparse
import math
import os
import secrets
import sys
from pathlib import Path

from harness.engine import api, go_json, service
from harness.engine.errors import ApiError
from harness.engine.http import READ_SECONDS
from harness.engine.journal import KEPT_EVENTS
from harness.engine.wire.grammar import codes_in
from harness.engine.wire.log import KEPT_MESSAGES
from harness.machine.toxiproxy import token


def main(argv: list[str] | None = None) -> int:
    """Serve until a signal or the end of the parent; prints one line of JSON with the API's address when ready."""
    parser = argparse.ArgumentParser(prog="python -m harness.engine", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="where the API listens (default: loopback only)")
    parser.add_argument("--port", type=int, default=8474, help="the API's port; 0 is any free one")
    parser.add_argument("--seed", help="seed of all random draws; default: a random one, printed when ready")
    parser.add_argument("--parent-pid", type=int, help="end when this process does")
    parser.add_argument("--parent-fd", type=int, help="end when this descriptor reads end of file")
    parser.add_argument("--config", help="a file with a JSON list of proxies, as for /populate")
    parser.add_argument("--events", type=int, default=KEPT_EVENTS, help="how many events the log keeps")
    parser.add_argument(
        "--messages", type=int, default=KEPT_MESSAGES, help="how many messages the log of messages keeps"
    )
    parser.add_argument("--store-header", help="the TCPStoreBackend.hpp of the torch whose store is behind the proxies")
    parser.add_argument(
        "--allow-host", action="append", default=[], metavar="NAME", help="a further host in requests; repeatable"
    )
    parser.add_argument(
        "--token-file", metavar="PATH", help=f"the token of all requests; default: {token.VARIABLE}, or none"
    )
    parser.add_argument(
        "--read-timeout",
        type=_seconds,
        default=READ_SECONDS,
        metavar="SECONDS",
        help="within which a request must arrive",
    )
    given = parser.parse_args(argv)
    try:
        options = _options(given)
    except (OSError, ValueError, ApiError) as error:
        print(f"cannot use a file or a token that was given: {error}", file=sys.stderr)
        return 2
    try:
        return service.run(options)
    except ApiError as error:
        print(f"cannot make a proxy of --config: {error}; correct the file", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"cannot listen on {given.host}:{given.port}: {error}; choose another --port", file=sys.stderr)
        return 1


def _options(given: argparse.Namespace) -> service.Options:
    return service.Options(
        given.host,
        given.port,
        given.seed if given.seed is not None else secrets.token_hex(8),
        given.parent_pid,
        given.parent_fd,
        api.listed(go_json.first_value(Path(given.config).read_bytes())) if given.config else (),
        given.events,
        codes_in(Path(given.store_header).read_text("utf-8")) if given.store_header else None,
        frozenset(name.lower().rstrip(".") for name in given.allow_host),
        _token(given.token_file),
        given.read_timeout,
        given.messages,
    )


def _seconds(text: str) -> float:
    """A time from the command line; raises ValueError."""
    seconds = float(text)
    if not 0 < seconds < math.inf:
        raise ValueError(text)
    return seconds


def _token(path: str | None) -> str:
    """The token in the file, or in the environment; empty for none. Raises ValueError for a bad one."""
    found = os.environ.get(token.VARIABLE, "") if path is None else Path(path).read_text("utf-8").strip()
    if (path is not None or found) and (problem := token.problem(found)):
        raise ValueError(f"{path or token.VARIABLE}: {problem}")
    return found


if __name__ == "__main__":
    sys.exit(main())
