"""What each rank does, as one Python function for all ranks that do the same, and the processes that do it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from harness.reproduce.faults import LINK_CLASSES, class_of
from harness.reproduce.written import arguments, call, literal, lives, moment, seconds, text, who, wire_moments
from harness.scenario.moment import START
from harness.scenario.scenario import HandlerConfig, Scenario, Step

VERBS: Mapping[str, str] = {
    "rendezvous": "{own}.next_rendezvous()",
    "set": "{store}.set({key}, {value})",
    "get": "{store}.get({key})",
    "add": "{store}.add({key}, {amount})",
    "compare_set": "{store}.compare_set({key}, {expected}, {desired})",
    "check": "{store}.check({keys})",
    "delete_key": "{store}.delete_key({key})",
    "num_keys": "{store}.num_keys()",
    "append": "{store}.append({key}, {value})",
    "multi_get": "{store}.multi_get({keys})",
    "multi_set": "{store}.multi_set({names}, {texts})",
    "queue_push": "{store}.queue_push({key}, {value})",
    "queue_pop": "{store}.queue_pop({key})",
    "wait": "{store}.wait({keys}{lasting})",
    "clone": "{store}.clone()",
    "drop": "gc.collect()",
    "shutdown": "{own}.shutdown()",
    "set_closed": "{own}.set_closed()",
    "is_closed": "{own}.is_closed()",
    "num_nodes_waiting": "{own}.num_nodes_waiting()",
    "sleep": "time.sleep({for_s})",
    "bind": "bind({host}, {port}, {timeout})",
}
"""What a verb calls."""

STEPS = frozenset(VERBS)
_INDENT = "    "


@dataclass(frozen=True)
class Process:
    """One process of a rank: the first, or the one after its `life - 1`st restart."""

    rank: int
    life: int


def processes(scenario: Scenario) -> list[Process]:
    """All that the play starts, by rank and life."""
    started = [rank for rank, spec in enumerate(scenario.world.ranks) if spec.start is not None]
    return [Process(rank, life) for rank in started for life in range(1, lives(scenario, rank) + 1)]


def written(scenario: Scenario) -> tuple[list[str], list[str]]:
    """The functions, and the list of the processes, as lines."""
    bodies: dict[str, list[Process]] = {}
    for process in processes(scenario):
        bodies.setdefault("\n".join(_body(scenario, process)), []).append(process)
    names = {body: _name(done_by, len(bodies)) for body, done_by in bodies.items()}
    functions = [f"def {names[body]}(rank: Rank) -> None:\n{body}" for body in bodies]
    named = {process: names[body] for body, done_by in bodies.items() for process in done_by}
    rows = [line for process in processes(scenario) for line in _process(scenario, process, named[process])]
    return functions, rows


def _name(done_by: list[Process], bodies: int) -> str:
    if bodies == 1:
        return "each_rank"
    ranks = sorted({str(process.rank) for process in done_by})
    again = "_again" if all(process.life > 1 for process in done_by) else ""
    return f"{'rank' if len(ranks) == 1 else 'ranks'}_{'_'.join(ranks)}{again}"


def _process(scenario: Scenario, process: Process, role: str) -> list[str]:
    spec = scenario.world.ranks[process.rank]
    words = [who(process.rank, process.life), role]
    if process.life > 1:
        kills = [fault for fault in scenario.faults if fault.restarts_ranks and process.rank in fault.ranks]
        words += [f'starts=when_fault({text(kills[process.life - 2].name)}, "healed")']
    elif spec.start != START and spec.start is not None:
        words.append(f"starts={moment(scenario, spec.start)}")
    if spec.env:
        words.append(f"env={literal(dict(spec.env))}")
    return call("Process", words, ",")


# -- the body of a function --------------------------------------------------------------------------------------------


def _body(scenario: Scenario, process: Process) -> list[str]:
    """What one process does, from its first call to its end."""
    mine = [
        step for step in scenario.steps if process.rank in step.ranks and step.life in (None, process.life)
    ]  # fmt: skip
    threads = list(dict.fromkeys(step.thread for step in mine if step.thread != "main"))
    lines = [f"{handler} = {store} = ABSENT" for handler, store in _unready(mine)]
    for thread in threads:
        inner = list(_lines(scenario, process, [step for step in mine if step.thread == thread], mine))
        assigned = sorted({line.split(" = ")[0] for line in inner if re.match(r"\w+ = ", line)})
        lines += [f"def {identifier(thread)}() -> None:"]
        lines += [f"{_INDENT}nonlocal {', '.join(assigned)}"] if assigned else []
        lines += [f"{_INDENT}{line}" for line in inner]
    for thread in threads:
        lines.append(f"{identifier(thread)}_thread = aside({identifier(thread)})")
    lines += _lines(scenario, process, [step for step in mine if step.thread == "main"], mine)
    lines.append(f"rank.stay({', '.join(f'{identifier(thread)}_thread' for thread in threads)})")
    return [f"{_INDENT}{line}" for line in lines]


def identifier(name: str) -> str:
    """A name of a scenario as one of Python."""
    return re.sub(r"\W", "_", name)


def _variables(handler: str) -> tuple[str, str]:
    """The variables of a handler and of its store."""
    before = "" if handler == "main" else f"{identifier(handler)}_"
    return f"{before}handler", f"{before}store"


def _unready(mine: list[Step]) -> list[tuple[str, str]]:
    """The variables that are read before a join has set them, or may be."""
    found = []
    for name in dict.fromkeys(step.handler for step in mine if step.do not in ("sleep", "bind")):
        of = [step for step in mine if step.handler == name and step.do not in ("sleep", "bind")]
        joins = sum(step.do == "rendezvous" for step in of)
        if of[0].do != "rendezvous" or joins > 1 or of[0].times > 1 or any(step.thread != "main" for step in of):
            found.append(_variables(name))
    return found


def _lines(scenario: Scenario, process: Process, steps: list[Step], mine: list[Step]) -> Iterator[str]:
    """The calls of one thread; a handler is built where it first joins, and after it was dropped."""
    built: set[str] = set()
    unready = _unready(mine)
    for step in steps:
        handler, store = _variables(step.handler)
        words = [text(step.name), f"lambda: {_called(scenario, process, step)}"]
        after = [] if step.after is None else [f"after={moment(scenario, step.after)}"]
        if step.do == "rendezvous" and step.handler not in built:
            built.add(step.handler)
            config = scenario.world.ranks[process.rank].handlers[step.handler]
            yield from call(f"{handler} = static_handler", _configuration(scenario, process.rank, config))
        if step.do == "drop":
            built.discard(step.handler)
            yield from [f"rank.wait({moment(scenario, step.after)})"] if step.after is not None else []
            yield f"{handler} = {store} = ABSENT"
            after = []
        if step.times > 1:
            yield f"for _ in range({step.times}):"
        end, target = "", ""
        if step.do in ("rendezvous", "clone"):
            target = f"{store} = "
            end = ".store" if step.do == "rendezvous" else ""
            end += f" or {store}" if (handler, store) in unready or step.do == "clone" else ""
        made = call(f"{target}rank.call", [*words, *after], end)
        yield from (f"{_INDENT}{line}" for line in made) if step.times > 1 else made


def _configuration(scenario: Scenario, rank: int, config: HandlerConfig) -> list[str]:
    given: dict[str, Any] = {"rank": config.rank, "timeout": config.timeout_ns // 10**9, **config.config}
    words = {name: literal(value) for name, value in given.items()}
    if config.rank == rank and "rank" not in config.config:
        words["rank"] = "rank.number"
    host = config.host if config.rank == 0 or rank not in linked(scenario) else None
    shown = f"[{host}]" if host and ":" in host else host or "127.0.0.1"
    port = config.port if config.port is not None else f"{{{_port(scenario, rank, config)}}}"
    endpoint = f'f"{shown}:{port}"' if config.port is None else text(f"{shown}:{port}")
    endpoint = endpoint if config.endpoint is None else text(config.endpoint)
    options = [f"{name}={value}" for name, value in words.items()]
    return [endpoint, f"run_id={text(config.run_id)}", f"nodes={config.world_size}", *options]


def _port(scenario: Scenario, rank: int, config: HandlerConfig) -> str:
    """A master binds its port; its rank may have a proxy to another master's."""
    return "rank.master_port" if config.rank == 0 and rank in linked(scenario) else "rank.port"


def _called(scenario: Scenario, process: Process, step: Step) -> str:
    handler, store = _variables(step.handler)
    words = {"own": handler, "store": store, **arguments(step)}
    if step.do == "bind":
        config = scenario.world.ranks[process.rank].handlers[step.handler]
        words["host"], words["timeout"] = text(config.host or "127.0.0.1"), literal(seconds(config.timeout_ns))
        words["port"] = _port(scenario, process.rank, config)
    return VERBS[step.do].format(**words)


def linked(scenario: Scenario) -> dict[int, str]:
    """By rank that has a proxy, the host of the master behind it: the ranks whose link a fault or a moment names."""
    ranks = {rank for fault in scenario.faults if class_of(fault) in LINK_CLASSES for rank in fault.ranks}
    for waited in wire_moments(scenario):
        ranks |= set(waited.ranks or range(scenario.world.size))
    specs = scenario.world.ranks
    hosts = {config.host for spec in specs for config in spec.handlers.values()}
    host = "::1" if "::1" in hosts else "127.0.0.1"
    return {rank: host for rank in sorted(ranks) if any(one.rank != 0 for one in specs[rank].handlers.values())}
