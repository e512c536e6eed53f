"""File descriptors of this process: the last few are kept free of proxied connections, so that the API answers."""

from __future__ import annotations

import errno
import fcntl
import os
import resource

RESERVED = 16
"""Descriptors that clients of proxies cannot take; an eighth where the limit is small."""

_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


def are_exhausted_by(error: OSError) -> bool:
    """Whether the error means that neither this process nor the system has another descriptor or its memory."""
    return error.errno in _EXHAUSTED


def are_free(any_open: int) -> bool:
    """Whether a client of a proxy may be accepted; `any_open` is some open descriptor."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if limit == resource.RLIM_INFINITY:
        return True
    try:
        # The kernel always gives the lowest free number.
        lowest_free = fcntl.fcntl(any_open, fcntl.F_DUPFD_CLOEXEC, 0)
    except OSError:
        return False
    os.close(lowest_free)
    return lowest_free < limit - min(RESERVED, limit // 8)
