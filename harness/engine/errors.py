"""Errors of the API, with the real server's texts and status codes."""

from __future__ import annotations


class ApiError(Exception):
    """An error answer: a text for people, a status for programs."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text

    def document(self) -> dict[str, object]:
        """The JSON body."""
        return {"error": self.text, "status": self.status}


def bad_body(why: str) -> ApiError:
    return ApiError(400, f"bad request body: {why}")


def missing_field(name: str, place: str = "") -> ApiError:
    return ApiError(400, f"missing required field: {name}{place}")


def proxy_not_found() -> ApiError:
    return ApiError(404, "proxy not found")


def toxic_not_found() -> ApiError:
    return ApiError(404, "toxic not found")


def proxy_exists() -> ApiError:
    return ApiError(409, "proxy already exists")


def toxic_exists() -> ApiError:
    return ApiError(409, "toxic already exists")


def bad_stream() -> ApiError:
    return ApiError(400, "stream was invalid, can be either upstream or downstream")


def bad_toxic_type() -> ApiError:
    return ApiError(400, "invalid toxic type")


def server_error(text: str) -> ApiError:
    return ApiError(500, text)
