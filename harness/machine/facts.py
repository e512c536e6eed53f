"""Facts of this machine that explain a result: kernel, processors, memory, C library, interpreter."""

from __future__ import annotations

import functools
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

CONTAINER_FILES = (Path("/.dockerenv"), Path("/run/.containerenv"))
"""Made by Docker and by Podman in each of their containers."""

CONTAINER_VARIABLES = ("container", "KUBERNETES_SERVICE_HOST")
"""Set by systemd-nspawn, LXC and Podman, and by Kubernetes."""


@functools.cache
def facts() -> Mapping[str, Any]:
    """JSON values: `kernel`, `cores` that this process may use, `memory_bytes`, `libc`, `python`, `in_container`."""
    return MappingProxyType(
        {
            "kernel": platform.release(),
            "cores": len(os.sched_getaffinity(0)),
            "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
            "libc": _libc(),
            "python": platform.python_version(),
            "in_container": in_container(os.environ),
        }
    )


def in_container(environment: Mapping[str, str], files: tuple[Path, ...] = CONTAINER_FILES) -> bool:
    """Whether this process seems to run in a container."""
    return any(path.exists() for path in files) or any(name in environment for name in CONTAINER_VARIABLES)


def _libc() -> str:
    try:
        return os.confstr("CS_GNU_LIBC_VERSION") or ""
    except ValueError:  # another C library than glibc
        return " ".join(platform.libc_ver())
