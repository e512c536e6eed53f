"""The extensions of Toxiproxy's API, all under `/x`, which the real server answers with 404."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from harness import __version__, clock
from harness.engine import api, go_json, settings
from harness.engine.connection import Connection
from harness.engine.engine import Engine
from harness.engine.errors import ApiError, bad_body
from harness.engine.partitions import Partition
from harness.engine.toxics.base import BEHAVIOURS

LONGEST_WAIT_SECONDS = 60.0
_NUMBER = r"([0-9]{1,18})"


class Extensions:
    """Handlers of the paths under `/x`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def routes(self) -> Mapping[str, Mapping[str, api.Handler]]:
        """Pattern of the path, and handlers by method."""
        return {
            "/x": {"GET": self._about},
            "/x/events": {"GET": self._events},
            "/x/messages": {"GET": self._messages},
            "/x/effects": {"GET": self._effects},
            "/x/connections": {"GET": self._connections},
            f"/x/connections/{_NUMBER}": {"DELETE": self._close_connection},
            "/x/proxies": {"POST": self._create_with_toxics},
            "/x/proxies/([^/]+)/labels": {"POST": self._label},
            "/x/partition": {"POST": self._cut},
            f"/x/partition/{_NUMBER}": {"DELETE": self._heal},
            "/x/moments": {"POST": self._arm},
            f"/x/moments/{_NUMBER}": {"GET": self._moment, "DELETE": self._disarm},
            f"/x/moments/{_NUMBER}/release": {"POST": self._release},
        }

    async def _about(self, request: Request) -> Response:
        return JSONResponse(
            {
                "engine": "rdzv-harness embedded",
                "version": __version__,
                "behaves_as": f"toxiproxy {api.VERSION}",
                "seed": self._engine.seed,
                "toxics": sorted(BEHAVIOURS),
                "kept_messages": self._engine.messages.kept,
            }
        )

    # -- what happened -------------------------------------------------------------------------------------------------

    async def _events(self, request: Request) -> Response:
        journal, query = self._engine.journal, request.query_params
        since = _whole(query.get("since", "0"), "since")
        self._note_unanswered()
        await journal.more_than(since, min(_whole(query.get("wait_ms", "0"), "wait_ms") / 1000, LONGEST_WAIT_SECONDS))
        return JSONResponse(
            {
                "events": journal.since(since, query.get("proxy")),
                "last": journal.last,
                "dropped": journal.dropped,
            }
        )

    async def _messages(self, request: Request) -> Response:
        query = request.query_params
        return JSONResponse(
            self._engine.messages.page(frozenset(query.getlist("proxy")), _whole(query.get("since", "0"), "since"))
        )

    def _note_unanswered(self) -> None:
        for proxy in self._engine.proxies.values():
            proxy.note_unanswered()

    async def _effects(self, request: Request) -> Response:
        now_ns, wanted = clock.now_ns(), request.query_params.get("proxy")
        proxies = [proxy for proxy in self._engine.proxies.values() if wanted in (None, proxy.name)]
        return JSONResponse({"effects": [effect for proxy in proxies for effect in proxy.effects(now_ns)]})

    async def _connections(self, request: Request) -> Response:
        wanted = request.query_params.get("proxy")
        shown = [one.describe() for one in self._live() if wanted in (None, one.describe()["proxy"])]
        return JSONResponse({"connections": shown})

    async def _close_connection(self, request: Request, number: str) -> Response:
        how = request.query_params.get("how", "fin")
        if how not in ("fin", "rst"):
            raise ApiError(400, f"how {how!r} is neither fin nor rst")
        for connection in self._live():
            if connection.id == int(number):
                connection.abort(f"closed through the API ({how})", reset=how == "rst")
                return Response(status_code=204)
        raise ApiError(404, f"there is no open connection {number}")

    def _live(self) -> list[Connection]:
        return [one for proxy in self._engine.proxies.values() for one in proxy.connections.values()]

    # -- proxies -------------------------------------------------------------------------------------------------------

    async def _create_with_toxics(self, request: Request) -> Response:
        """Make a proxy with the toxics of its `toxics` before the first client."""
        value = await api.body_of(request)
        toxics = go_json.a_list(go_json.an_object(value).get("toxics")) or []
        proxy = await self._engine.create(settings.ProxySettings.read(value), toxics)
        return JSONResponse(settings.show_proxy(proxy), 201)

    async def _label(self, request: Request, name: str) -> Response:
        proxy, fields = self._engine.proxy(name), go_json.an_object(await api.body_of(request))
        proxy.source = go_json.text(fields, "source", proxy.source)
        proxy.target = go_json.text(fields, "target", proxy.target)
        return JSONResponse({"name": proxy.name, "source": proxy.source, "target": proxy.target})

    async def _cut(self, request: Request) -> Response:
        number, partition = self._engine.partitions.cut(await api.body_of(request))
        self._note("partition", number, partition)
        return JSONResponse({"id": number, "how": partition.how, "proxies": partition.names()}, 201)

    async def _heal(self, request: Request, number: str) -> Response:
        self._note("heal", int(number), self._engine.partitions.heal(int(number)))
        return Response(status_code=204)

    # -- moments -------------------------------------------------------------------------------------------------------

    async def _arm(self, request: Request) -> Response:
        return JSONResponse(self._engine.triggers.arm(await api.body_of(request)).describe(), 201)

    async def _moment(self, request: Request, number: str) -> Response:
        return JSONResponse(self._engine.triggers.get(int(number)).describe())

    async def _disarm(self, request: Request, number: str) -> Response:
        self._engine.triggers.disarm(int(number))
        return Response(status_code=204)

    async def _release(self, request: Request, number: str) -> Response:
        self._engine.triggers.release(int(number))
        return Response(status_code=204)

    def _note(self, event: str, number: int, partition: Partition) -> None:
        self._engine.journal.note(event, partition=number, how=partition.how, proxies=partition.names())


def _whole(text: str, name: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise bad_body(f"{name} {text[:40]!r} is not a whole number")
    return int(text)


def routes(engine: Engine) -> Mapping[str, Mapping[str, Any]]:
    """The routes of the extensions, for `Api`."""
    return Extensions(engine).routes()
