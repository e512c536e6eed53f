"""A build of the harness whose faults do nothing, for processes that have this folder on PYTHONPATH.

It changes modules of the harness as they are imported, behind the back of everything that gathers evidence: the calls
succeed, and nothing happens. No module of the harness knows of it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import importlib.abc
import importlib.machinery
import re
import signal
import socket
import sys


def toxics(module):
    """The embedded engine takes every toxic, and lets everything pass it."""
    register = module.toxic

    def toxic(kind):
        def remember(behaviour):
            for name, value in _HARMLESS.items():
                if hasattr(behaviour, name):
                    setattr(behaviour, name, value)
            return register(kind)(behaviour)

        return remember

    module.toxic = toxic


def _passing(self, site):
    from harness.engine.script import passing

    return passing()


_HARMLESS = {
    "script": _passing,
    "closes_when_removed": False,
    "half_closes": False,
    "closes_listener": False,
    "fills_backlog": False,
    "on_client": lambda self, sock, memory: False,
    "is_meant": lambda self, message, proxy_memory, connection_memory: False,
}


def client(module):
    """Any proxy server gets its toxics with toxicity 0, and is never disabled."""
    add, update = module.Api.add_toxic, module.Api.update_toxic
    module.Api.add_toxic = lambda self, proxy, name, kind, stream, toxicity, given: add(
        self, proxy, name, kind, stream, 0.0, given
    )
    module.Api.update_toxic = lambda self, proxy, name, toxicity, given: update(self, proxy, name, 0.0, given)
    module.Api.switch = lambda self, proxy, enabled: None


def firewall(module):
    """Every rule accepts."""
    table = module._table
    module._table = lambda *given: re.sub(r" (drop|reject with tcp reset)$", " accept", table(*given), flags=re.M)


def delaying(module):
    """Every packet is held for no time."""
    nothing = module.Delay(0)
    netem, keeper = module._netem, module._keeper
    module._netem = lambda delay: netem(nothing)
    module._keeper = lambda name, hosts, delay, seed: keeper(name, hosts, nothing, seed)


def shaping(module):
    """Every rate is ten gigabytes a second."""
    bucket = module.token_bucket
    module.token_bucket = lambda rate: bucket(10_000_000_000)


def pidfd(module):
    """A signal that stops or ends a process is not sent; a limit is not set."""
    process = module.PidfdProcess
    send, limit = process.signal, process.file_limit
    process.signal = lambda self, number: (
        not self.ended() if number in (signal.SIGSTOP, signal.SIGKILL) else send(self, number)
    )
    process.file_limit = lambda self, soft=None: limit(self)


def network(module):
    """No cable is pulled, and no host moves; it says that it has."""
    module.NetworkHost.unplug = lambda self: None
    module.NetworkHost.move = lambda self: self._network.spare_address()


def host_limits(module):
    """No limit of a kernel is written."""
    module._write = lambda host, name, value: None


def listening(module):
    """The faults listen on another port."""
    listen = module.listen
    module.listen = lambda address, port: listen(address, 0)


def strangers(module):
    """They connect to a listener of their own."""

    class Elsewhere:
        def __getattr__(self, name):
            return getattr(socket, name)

        @staticmethod
        @functools.cache
        def listener():
            return socket.create_server(("127.0.0.1", 0))

        def create_connection(self, address, timeout=None):
            return socket.create_connection(self.listener().getsockname(), timeout=timeout)

    module.socket = Elsewhere()


def fault_context(module):
    """A foreign store serves another port."""
    helper = module.PlayFaultContext.helper
    module.PlayFaultContext.helper = lambda self, name, given: helper(
        self, name, {**given, **({"port": 0} if "port" in given else {})}
    )


def resolution(module):
    """The name server answers at once and truly."""
    add = module._Server.add_rule
    module._Server.add_rule = lambda self, rule: add(
        self, dataclasses.replace(rule, delay_ns=0, silent=False, instead={})
    )
    module.unserved = lambda hosts, by: contextlib.nullcontext()


PATCHES = {
    "harness.engine.toxics.base": toxics,
    "harness.machine.toxiproxy.client": client,
    "harness.machine.network.firewall": firewall,
    "harness.machine.network.delaying": delaying,
    "harness.machine.network.shaping": shaping,
    "harness.machine.process.pidfd": pidfd,
    "harness.machine.network.network": network,
    "harness.machine.network.listening": listening,
    "harness.machine.names.resolution": resolution,
    "harness.play.fault_context": fault_context,
    "harness.faults.host_limits": host_limits,
    "harness.faults.strangers": strangers,
}


class _Patching(importlib.abc.MetaPathFinder):
    """Finds a module as the others do, and has it changed when it has been executed."""

    def find_spec(self, name, path=None, target=None):
        patch = PATCHES.get(name)
        if patch is None:
            return None
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(name, path, target)
            if spec is not None and spec.loader is not None:
                spec.loader.exec_module = functools.partial(_execute, spec.loader.exec_module, patch)
                return spec
        return None


def _execute(execute, patch, module):
    execute(module)
    patch(module)


sys.meta_path.insert(0, _Patching())
