"""Proxies and toxics as JSON: read into values, and shown again."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.engine import errors, go_json
from harness.engine.errors import ApiError
from harness.engine.proxy import Proxy
from harness.engine.toxic_stage import Toxic
from harness.engine.toxics.base import BEHAVIOURS, Behaviour

DIRECTIONS = ("upstream", "downstream")


@dataclass(frozen=True)
class ProxySettings:
    """The settings of a proxy in a request."""

    name: str
    listen: str
    upstream: str
    enabled: bool

    @classmethod
    def read(cls, value: Any, present: Proxy | None = None) -> ProxySettings:
        """From JSON; absent fields keep the values of `present`. Raises ApiError."""
        fields = go_json.an_object(value, "toxiproxy.Proxy")
        return cls(
            go_json.text(fields, "name"),
            go_json.text(fields, "listen", present.listen if present else ""),
            go_json.text(fields, "upstream", present.upstream if present else ""),
            go_json.flag(fields, "enabled", present.enabled if present else True),
        )

    def check(self, place: str = "") -> None:
        """Raise ApiError if a required field is missing; `place` is its place in a list."""
        for field in ("name", "upstream"):
            if not getattr(self, field):
                raise errors.missing_field(field, place)


def read_toxic(value: Any, proxy: Proxy) -> Toxic:
    """A new toxic for a proxy; raises ApiError for the first error, in the order of the real server."""
    fields = go_json.an_object(value, "toxics.ToxicWrapper")
    name, kind = go_json.text(fields, "name"), go_json.text(fields, "type")
    stream = go_json.text(fields, "stream", "downstream")
    toxicity = go_json.single(fields, "toxicity", 1.0)
    if stream.lower() not in DIRECTIONS:
        raise errors.bad_stream()
    if kind not in BEHAVIOURS:
        raise errors.bad_toxic_type()
    name = name or f"{kind}_{stream}"
    if proxy.toxic(name) is not None:
        raise errors.toxic_exists()
    return Toxic(name, stream, toxicity, read_attributes(fields, BEHAVIOURS[kind]()))


def read_attributes(fields: Mapping[str, Any], present: Behaviour) -> Behaviour:
    """The attributes in a body, absent ones as they are; raises ApiError, also for invalid values."""
    given = go_json.an_object(fields.get("attributes"), f"toxics.{type(present).__name__}Toxic")
    changed: dict[str, Any] = {}
    for field in dataclasses.fields(present):
        now = getattr(present, field.name)
        if isinstance(now, int):
            changed[field.name] = go_json.whole(given, field.name, now)
        else:
            changed[field.name] = go_json.text(given, field.name, now)
    behaviour = dataclasses.replace(present, **changed)
    if problem := behaviour.problem():
        raise ApiError(400, f"{behaviour.kind}: {problem}; nothing was changed")
    return behaviour


def show_toxic(toxic: Toxic) -> dict[str, Any]:
    """A toxic as the API shows it."""
    return {
        "attributes": dataclasses.asdict(toxic.behaviour),
        "name": toxic.name,
        "type": toxic.kind,
        "stream": toxic.stream,
        "toxicity": toxic.toxicity,
    }


def show_toxics(proxy: Proxy) -> list[dict[str, Any]]:
    """Upstream ones first, each direction in its order."""
    return [show_toxic(toxic) for direction in DIRECTIONS for toxic in proxy.chain(direction)]


def show_proxy(proxy: Proxy) -> dict[str, Any]:
    """A proxy as the API shows it."""
    return {
        "name": proxy.name,
        "listen": proxy.listen,
        "upstream": proxy.upstream,
        "enabled": proxy.enabled,
        "toxics": show_toxics(proxy),
    }
