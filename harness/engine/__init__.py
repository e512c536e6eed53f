"""The embedded proxy engine: Toxiproxy's HTTP API and toxics in asyncio, for machines without a toxiproxy-server.

    python -m harness.engine --port 0

One connection is two links, one for each direction; each has a pipeline of stages, one for each toxic:

    client ──▶ read ─▶ entrance ─▶ toxic ─▶ toxic ─▶ write ──▶ server      upstream
    client ◀── write ◀─ toxic ◀─ toxic ◀─ entrance ◀─ read ◀── server      downstream

Pipelines and toxics know neither sockets nor the clock: time is an argument. `docs/embedded.md` lists the deliberate
differences from the real server, and the extensions.
"""
