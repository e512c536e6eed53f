"""Toxiproxy's HTTP API in front of an engine: routes, status codes and bodies of version 2.12."""

from __future__ import annotations

import contextlib
import posixpath
import re
import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias
from urllib.parse import quote, unquote

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import Message, Receive, Scope, Send

from harness.engine import go_json, settings
from harness.engine.access import Access
from harness.engine.engine import Engine, as_api_error
from harness.engine.errors import ApiError
from harness.engine.settings import ProxySettings

Handler: TypeAlias = Callable[..., Awaitable[Response]]
VERSION = "2.12.0"
"""The version of Toxiproxy that the engine behaves as."""

MOST_BODY_BYTES = 1 << 20
"""Of a request: 8,000 proxies fit into one /populate. The real server has no limit."""

SKIPPED_BYTES = 16 << 20
"""So much more of a body that is too large is read and thrown away: an earlier answer could reset the connection, and
be lost with it."""

_NAME = r"([^/]+)"


class Api:
    """An ASGI application.

    Args:
        version: the answer of /version.
        more: routes beyond Toxiproxy's: a pattern of the whole path, and handlers by method.
        access: who may use it.
    """

    def __init__(
        self,
        engine: Engine,
        version: str,
        more: Mapping[str, Mapping[str, Handler]] | None = None,
        access: Access | None = None,
    ) -> None:
        self._engine = engine
        self._version = version
        self._access = access or Access()
        routes: dict[str, Mapping[str, Handler]] = {
            "/reset": {"POST": self._reset},
            "/proxies": {"GET": self._proxies, "POST": self._create},
            "/populate": {"POST": self._populate},
            f"/proxies/{_NAME}": {
                "GET": self._proxy,
                "POST": self._update,
                "PATCH": self._update,
                "DELETE": self._delete,
            },
            f"/proxies/{_NAME}/toxics": {"GET": self._toxics, "POST": self._add_toxic},
            f"/proxies/{_NAME}/toxics/{_NAME}": {
                "GET": self._toxic,
                "POST": self._update_toxic,
                "PATCH": self._update_toxic,
                "DELETE": self._remove_toxic,
            },
            "/version": {"GET": self._show_version},
            **(more or {}),
        }
        self._routes = [(re.compile(pattern), handlers) for pattern, handlers in routes.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            body = _Body(receive)
            with contextlib.suppress(ClientDisconnect):
                answer = await self._answer(Request(scope, body.take), body)
                await answer(scope, receive, send)

    async def _answer(self, request: Request, body: _Body) -> Response:
        try:
            self._access.check(request.headers)
            if int(request.headers.get("content-length", "0")) > MOST_BODY_BYTES:
                raise _too_large()
            # Always read: an answer before the end of the body could reset the connection.
            await request.body()
        except ApiError as refused:
            return await self._refused(refused, request, body)
        return await self._routed(request)

    async def _refused(self, error: ApiError, request: Request, body: _Body) -> Response:
        """The answer to a request whose body is not wanted, and the end of the connection."""
        if request.headers.get("expect", "").lower() != "100-continue":  # else the client has not sent it yet
            await body.skip()
        answer = _refusal(error)
        answer.headers["connection"] = "close"
        if error.status == 401:
            answer.headers["www-authenticate"] = "Bearer"
        return answer

    async def _routed(self, request: Request) -> Response:
        # Not the decoded path, so that a name may have slashes: `%2F` is part of a name, `/` is not.
        path = request.scope["raw_path"].decode("ascii")
        if (clean := _cleaned(path)) != path:
            return Response(status_code=301, headers={"location": clean})
        path = "/".join(quote(unquote(part), safe="") for part in path.split("/"))
        for pattern, handlers in self._routes:
            if found := pattern.fullmatch(path):
                return await self._matched(request, handlers, tuple(unquote(name) for name in found.groups()))
        return PlainTextResponse("404 page not found\n", 404)

    async def _matched(self, request: Request, handlers: Mapping[str, Handler], names: tuple[str, ...]) -> Response:
        if request.method not in handlers:
            return Response(status_code=405)
        if request.headers.get("user-agent", "").startswith("Mozilla/"):
            answer: Response = PlainTextResponse("User agent not allowed\n", 403)
        else:
            try:
                answer = await handlers[request.method](request, *names)
            except Exception as error:  # the engine must serve the next request
                answer = _refusal(as_api_error(error))
        answer.headers["x-toxiproxy-request-id"] = secrets.token_hex(10)
        return answer

    # -- proxies -------------------------------------------------------------------------------------------------------

    async def _proxies(self, request: Request) -> Response:
        return JSONResponse({name: settings.show_proxy(proxy) for name, proxy in self._engine.proxies.items()})

    async def _create(self, request: Request) -> Response:
        wanted = ProxySettings.read(await body_of(request))
        return JSONResponse(settings.show_proxy(await self._engine.create(wanted)), 201)

    async def _proxy(self, request: Request, name: str) -> Response:
        return JSONResponse(settings.show_proxy(self._engine.proxy(name)))

    async def _update(self, request: Request, name: str) -> Response:
        self._engine.proxy(name)  # a missing proxy is reported before a bad body
        return JSONResponse(settings.show_proxy(await self._engine.update(name, await body_of(request))))

    async def _delete(self, request: Request, name: str) -> Response:
        await self._engine.delete(name)
        return Response(status_code=204)

    async def _populate(self, request: Request) -> Response:
        done: list[Any] = []
        try:
            wanted = listed(await body_of(request))
            await self._engine.populate(wanted, done)
        except ApiError as error:
            return JSONResponse({**error.document(), **_shown(done)}, error.status)
        return JSONResponse(_shown(done), 201)

    async def _reset(self, request: Request) -> Response:
        await self._engine.reset()
        return Response(status_code=204)

    async def _show_version(self, request: Request) -> Response:
        return JSONResponse({"version": self._version})

    # -- toxics --------------------------------------------------------------------------------------------------------

    async def _toxics(self, request: Request, proxy: str) -> Response:
        return JSONResponse(settings.show_toxics(self._engine.proxy(proxy)))

    async def _add_toxic(self, request: Request, proxy: str) -> Response:
        self._engine.proxy(proxy)
        return JSONResponse(settings.show_toxic(self._engine.add_toxic(proxy, await body_of(request))))

    async def _toxic(self, request: Request, proxy: str, name: str) -> Response:
        return JSONResponse(settings.show_toxic(self._engine.toxic(proxy, name)[1]))

    async def _update_toxic(self, request: Request, proxy: str, name: str) -> Response:
        self._engine.toxic(proxy, name)
        return JSONResponse(settings.show_toxic(self._engine.update_toxic(proxy, name, await body_of(request))))

    async def _remove_toxic(self, request: Request, proxy: str, name: str) -> Response:
        self._engine.remove_toxic(proxy, name)
        return Response(status_code=204)


class _Body:
    """The body of one request; its size is bounded."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._taken = 0
        self._more = True

    async def take(self) -> Message:
        """The next part, for a `Request`; raises ApiError when there is too much."""
        message = await self._next()
        if self._taken > MOST_BODY_BYTES:
            raise _too_large()
        return message

    async def skip(self) -> None:
        """Read the rest, up to a limit, and throw it away."""
        limit = self._taken + SKIPPED_BYTES
        while self._more and self._taken < limit:
            await self._next()

    async def _next(self) -> Message:
        message = await self._receive()
        self._taken += len(message.get("body", b""))
        self._more = message.get("more_body", False)
        return message


def _too_large() -> ApiError:
    return ApiError(413, f"the request body is larger than {MOST_BODY_BYTES} bytes; send it in parts")


async def body_of(request: Request) -> Any:
    """The first JSON value of the body; raises ApiError."""
    return go_json.first_value(await request.body())


def listed(value: Any) -> list[ProxySettings]:
    """The proxies in the body of /populate, checked as a whole; raises ApiError."""
    wanted = [ProxySettings.read(one) for one in go_json.a_list(value) or ()]
    for number, one in enumerate(wanted, 1):
        one.check(f" at proxy {number}")
    return wanted


def _shown(proxies: list[Any]) -> dict[str, Any]:
    """The real server shows no proxies as null."""
    return {"proxies": [settings.show_proxy(proxy) for proxy in proxies] or None}


def _refusal(error: ApiError) -> Response:
    body = JSONResponse(error.document()).body
    return PlainTextResponse(bytes(body) + b"\n", error.status)


def _cleaned(path: str) -> str:
    """The path without double slashes and dots, as in Go's router."""
    if not path.startswith("/"):
        path = f"/{path}"
    clean = posixpath.normpath(path).replace("//", "/", 1) if path.startswith("//") else posixpath.normpath(path)
    return clean + "/" if path.endswith("/") and clean != "/" else clean
