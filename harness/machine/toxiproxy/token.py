"""The token of an engine's API, which only those who know it may use."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

VARIABLE = "RDZV_TOXIPROXY_TOKEN"
"""The environment variable with the token: of an engine that is started, or of the server at `--toxiproxy URL`.

Never an argument: every process of the machine can read those.
"""


def new() -> str:
    """A token that nobody can guess."""
    return secrets.token_hex(16)


def header(token: str) -> Mapping[str, str]:
    """The headers of a request with this token; none for an empty one."""
    return {"Authorization": f"Bearer {token}"} if token else {}


def problem(token: str) -> str:
    """Why this cannot be a token; empty if it can."""
    return "" if token and all("!" <= sign <= "~" for sign in token) else "a token is a word of ASCII characters"
