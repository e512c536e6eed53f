"""TLS between the driver and a Dask scheduler: what its configuration lacks, and what a refusal may mean."""

from __future__ import annotations

from pathlib import Path

from harness.values.errors import UsageError

NEEDED = {"ca-file": "CA_FILE", "client.cert": "CLIENT__CERT"}
OPTIONAL = {"client.key": "CLIENT__KEY"}
"""A file with a certificate may have its key too."""

PREFIX = "DASK_DISTRIBUTED__COMM__TLS__"
SECURE = ("tls", "wss")


def configured(address: str) -> str:
    """The address; raises UsageError if it asks for TLS and Dask's configuration has no certificate for this driver."""
    if address.partition("://")[0] in SECURE:
        _check(address)
    return address


def _check(address: str) -> None:
    import dask

    for key, variable in {**NEEDED, **OPTIONAL}.items():
        value = dask.config.get(f"distributed.comm.tls.{key}", None)
        if value is None and key in NEEDED:
            every = ", ".join(PREFIX + name for name in (*NEEDED.values(), *OPTIONAL.values()))
            raise UsageError(f"--cluster dask:{address}: {PREFIX}{variable} is not set; TLS needs files in {every}")
        if value is not None and "\n" not in str(value) and not Path(value).is_file():  # else it is the text itself
            raise UsageError(f"--cluster dask:{address}: there is no file {value}; correct {PREFIX}{variable}")


def unanswered(address: str, error: Exception) -> str:
    """What to say of a scheduler to which no connection was made."""
    if address.partition("://")[0] in SECURE:
        hint = "is it up, and does each side trust the authority of the other's certificate?"
    else:
        hint = f"is it up? If it uses TLS, write dask:tls://{address.partition('://')[2]}"
    return f"no Dask scheduler answers at {address} ({error}); {hint}"
