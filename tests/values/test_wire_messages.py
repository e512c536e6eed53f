"""Messages of the wire pass through JSON, and what is malformed is refused with its field's name."""

from __future__ import annotations

import json

import pytest

from harness.values.wire import CUT, PASSED, WireMessage

FULL = WireMessage(2, 20, 1, 3, "reply", "add", ("/run/count",), CUT, None, 5, "cut-downstream", 1)
PLAIN = WireMessage(1, 10, 0, 3, "query", "ping", fate=PASSED, sent_ns=12)


@pytest.mark.parametrize("message", [FULL, PLAIN])
def test_a_message_survives_json(message: WireMessage) -> None:
    """What is read from a line is what was written."""
    assert WireMessage.from_json(json.loads(json.dumps(message.to_json()))) == message


@pytest.mark.parametrize(
    ("field", "value"), [("number", 0), ("side", "both"), ("fate", "eaten"), ("keys", "a"), ("time_ns", None)]
)
def test_a_malformed_message_is_refused(field: str, value: object) -> None:
    """The error names the field."""
    with pytest.raises(ValueError, match=field):
        WireMessage.from_json({**PLAIN.to_json(), field: value})
