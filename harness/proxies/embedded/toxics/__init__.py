"""The toxics, one file each; importing this package registers all of them."""

from harness.proxies.embedded.toxics import (
    bandwidth,
    latency,
    limit_data,
    noop,
    reset_peer,
    slicer,
    slow_close,
    timeout,
)

__all__ = ["bandwidth", "latency", "limit_data", "noop", "reset_peer", "slicer", "slow_close", "timeout"]
