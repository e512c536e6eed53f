"""What this machine can do for a run, and what to do about what is missing; nothing is changed and nothing stays."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.machine.process.interpreter import examine
from harness.values.errors import HarnessError, Unsupported, UsageError

# Each look-up is answered in microseconds where a world may run on the host's network, or not at all.
SLOW_LOOKUP_S = 0.02
LOOKUPS_WITHIN_S = 12
# A tool that has not printed its version by then counts as absent.
TOOL_WITHIN_S = 10


@dataclass(frozen=True)
class Check:
    """One thing this machine can or cannot do.

    Attributes:
        name: as `--require` takes it.
        good: whether it can.
        found: what was seen, in one line.
        advice: what it is for and what to do; empty where all is well.
    """

    name: str
    good: bool
    found: str
    advice: str = ""


def namespaces() -> Check:
    """Whether worlds of this user get a network and processes of their own."""
    from harness.machine.process.namespaces import probe_elsewhere

    isolation = probe_elsewhere()
    how = "with root's own privilege" if isolation.as_root else "through a user namespace"
    if isolation.possible:
        return Check("namespaces", True, f"private network, process tree and mounts, {how}")
    advice = "worlds run on the host's network, where other traffic and slow look-ups may disturb them"
    return Check("namespaces", False, isolation.reason, advice)


def namespaces_as_user() -> Check:
    """Whether an ordinary user's worlds would get them too; only root can ask for another."""
    import os

    from harness.machine.process.namespaces import probe_elsewhere

    if os.geteuid() != 0:
        return Check("namespaces-as-user", namespaces().good, "this is an ordinary user: see namespaces")
    isolation = probe_elsewhere(as_user=True)
    if isolation.possible:
        return Check("namespaces-as-user", True, "an ordinary user gets them too, through a user namespace")
    return Check("namespaces-as-user", False, isolation.reason, "run as root, or allow user namespaces")


def torch(python: str) -> Check:
    """Whether ranks can run under this interpreter."""
    info = examine(Path(python))
    if info.problem:
        return Check("torch", False, info.problem, "or use --subject echo or --subject command, which need none")
    return Check("torch", True, f"torch {info.torch} under Python {info.version} ({info.python})")


def toxiproxy_server() -> Check:
    """Whether there is a real server for the links; without one the embedded engine does."""
    from harness.machine.toxiproxy.server import HOW_TO_GET_IT, find_server, origin, version_of

    try:
        server = find_server()
    except HarnessError as error:
        return Check("toxiproxy-server", False, str(error))
    if server is None:
        found = "none on PATH, none in the cache: links go through the embedded engine"
        return Check("toxiproxy-server", False, found, f"only needed for the real one: {HOW_TO_GET_IT}")
    return Check("toxiproxy-server", True, f"{version_of(server)}, {origin(server)} ({server})")


def embedded_engine() -> Check:
    """Whether the engine that comes with the harness starts here."""
    command = [sys.executable, "-m", "harness.engine", "--port", "0", "--parent-fd", "0"]
    try:
        # The pipe that is its parent ends at once, so it ends as soon as it is ready.
        done = subprocess.run(command, capture_output=True, text=True, timeout=TOOL_WITHIN_S, input="")
        version = json.loads(done.stdout.partition("\n")[0])["version"]
    except (OSError, subprocess.TimeoutExpired, ValueError, KeyError) as error:
        advice = "install the harness anew: python -m pip install rdzv-harness"
        return Check("embedded-engine", False, f"it does not start ({error})", advice)
    return Check("embedded-engine", True, f"{version}, comes with the harness")


def go() -> Check:
    """Whether `toxiproxy install` can build a server."""
    advice = "only needed to build toxiproxy-server: install Go >= 1.23 (https://go.dev/dl/)"
    said = _said(["go", "env", "GOVERSION"])
    version = re.match(r"go(\d+)\.(\d+)", said)
    if version is None:
        return Check("go", False, said or "not on PATH", advice)
    if (int(version[1]), int(version[2])) < (1, 23):
        return Check("go", False, f"{said}, and 1.23 is the oldest that can build it", advice)
    return Check("go", True, f"{said} ({shutil.which('go')})")


def docker() -> Check:
    """Whether worlds of containers can be made here: an engine, and the images that they run."""
    from harness.machine.docker import engine, images

    purpose = "only needed for worlds of containers"
    try:
        found = engine.find()
        with engine.connect() as client:
            states = images.states(client)
    except Unsupported as missing:
        reason, _, advice = missing.reason.partition("; ")
        return Check("docker", False, reason, f"{purpose}: {advice}")
    have = ", ".join(f"{image.name} {image.state}" for image in states)
    lacking = [image for image in states if image.state != "up to date"]
    advice = f"{purpose}: {images.HOW_TO_BUILD}" if lacking else ""
    if not found.local:
        advice = f"{purpose}, and those mount folders of this machine: name an engine of this machine in DOCKER_HOST"
    return Check("docker", not advice, f"engine {found}; images: {have}", advice)


def _network_program(name: str, question: Sequence[str], tools: Sequence[str], faults: str) -> Check:
    """A program that sets up networks of hosts: its version, and what cannot be injected without it.

    Args:
        question: the command that makes it print its version.
        tools: all that are needed, as `network_tools.PACKAGES` names them; the first is asked.
        faults: those that need it.
    """
    from harness.machine.network.network_tools import PACKAGES, find

    advice = f"only needed by {faults}, which are skipped without it: apt-get install {PACKAGES[tools[0]]}"
    places = {tool: find(tool) for tool in tools}
    absent = [tool for tool, place in places.items() if place is None]
    if absent:
        return Check(name, False, f"there is no {' and no '.join(absent)} on this machine", advice)
    path = places[tools[0]] or tools[0]
    said = _said([path, *question])
    return Check(name, bool(said), f"{said or 'it does not run'} ({path})", "" if said else advice)


def nft() -> Check:
    """Whether packets can be dropped, refused and queued in the networks of hosts."""
    return _network_program("nft", ["--version"], ["nft"], "`delay`, `loss`, `partition` with `pairs`, and `tcp_reset`")


def tc() -> Check:
    """Whether cables of hosts can be made slow."""
    return _network_program("tc", ["-V"], ["tc", "ip"], "`rate`, and `delay` where the kernel has netem")


def iptables() -> Check:
    """Whether packets can be queued where nf_tables has no queue."""
    tools = ["iptables-restore", "ip6tables-restore"]
    return _network_program(
        "iptables", ["--version"], tools, "`delay` where the kernel has neither netem nor nft's queue"
    )


# Runs in a process of its own: a resolver that does not answer cannot be interrupted.
_LOOK_UP = """
import socket, time
for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::ffff:127.0.0.1")):
    begun = time.monotonic()
    try:
        socket.getnameinfo((address, 80), 0)
    except OSError:
        pass
    print(address, round(time.monotonic() - begun, 4), flush=True)
"""


def lookups() -> Check:
    """How long the host's resolver takes for the addresses that every connection of torch's store asks for."""
    advice = (
        "each connection of torch's store waits for these; worlds in a private network do not notice, others do: "
        "put 127.0.0.1 in /etc/hosts, or set RES_OPTIONS='timeout:1 attempts:1'"
    )
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", _LOOK_UP], capture_output=True, text=True, timeout=LOOKUPS_WITHIN_S
        )
        said = done.stdout
    except subprocess.TimeoutExpired as late:
        answered = late.stdout.decode() if isinstance(late.stdout, bytes) else late.stdout or ""
        found = f"{answered.split()[0] + ' answers, the other not' if answered.split() else 'no answer'}"
        return Check("look-ups", False, f"{found} within {LOOKUPS_WITHIN_S} s", advice)
    times = {line.split()[0]: float(line.split()[1]) for line in said.splitlines()}
    found = ", ".join(f"{address} in {1000 * seconds:.1f} ms" for address, seconds in times.items())
    good = len(times) == 2 and max(times.values()) <= SLOW_LOOKUP_S
    return Check("look-ups", good, found or f"the helper failed: {done.stderr.strip()[-200:]}", "" if good else advice)


def py_spy() -> Check:
    """Whether the stacks of a rank that hangs can be read."""
    from harness.machine.process.stack_reader import find_py_spy

    advice = "without it the stacks of a hung rank are not in the report: python -m pip install py-spy"
    found = find_py_spy()
    if found is None:
        return Check("py-spy", False, "neither beside this interpreter nor on PATH", advice)
    said = _said([found, "--version"])
    return Check("py-spy", said.startswith("py-spy"), f"{said or 'it does not run'} ({found})", advice)


def packages() -> Check:
    """Whether all members that other packages bring can be used."""
    from harness.loader.keys.members import foreign, not_loaded

    problems = not_loaded()
    if problems:
        advice = "; ".join(dict.fromkeys(problem.advice for problem in problems))
        return Check("packages", False, "; ".join(problem.message for problem in problems), advice)
    brought = ", ".join(f"{package} ({', '.join(members)})" for package, members in foreign().items())
    return Check("packages", True, brought or "no other package brings faults, steps, checks, worlds or reports")


def _said(command: Sequence[str]) -> str:
    """The first line that a tool prints; empty if it cannot be run."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TOOL_WITHIN_S)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return (done.stdout.strip() or done.stderr.strip()).split("\n")[0]


def examinations(python: str) -> list[tuple[str, Callable[[], Check]]]:
    """The name of each check, and the check, in the order in which they matter."""
    return [
        ("namespaces", namespaces),
        ("namespaces-as-user", namespaces_as_user),
        ("torch", lambda: torch(python)),
        ("embedded-engine", embedded_engine),
        ("toxiproxy-server", toxiproxy_server),
        ("look-ups", lookups),
        ("py-spy", py_spy),
        ("nft", nft),
        ("tc", tc),
        ("iptables", iptables),
        ("go", go),
        ("docker", docker),
        ("packages", packages),
    ]


def checked(examined: Sequence[tuple[str, Callable[[], Check]]]) -> Iterator[Check]:
    """Every check; one that itself breaks says so, and the others go on."""
    for name, check in examined:
        try:
            yield check()
        except (HarnessError, OSError, subprocess.SubprocessError, ValueError) as error:
            yield Check(name, False, f"could not be found out: {error}")


def report(python: str, require: Sequence[str], examined: Sequence[tuple[str, Callable[[], Check]]] = ()) -> int:
    """Print every check; returns 0, or 3 if one that is required is not good.

    Raises UsageError for a requirement that is no check.
    """
    examined = examined or examinations(python)
    names = [name for name, _ in examined]
    for wanted in require:
        if wanted != "all" and wanted not in names:
            raise UsageError(f"--require {wanted}: there is no such check; known: all, {', '.join(names)}")
    missing = []
    for check in checked(examined):
        print(f"{'✓' if check.good else '✗'} {check.name:{max(map(len, names))}}  {check.found}", flush=True)
        if not check.good:
            if check.advice:
                print(f"    {check.advice}")
            missing.append(check.name)
    unmet = [name for name in missing if name in require or "all" in require]
    if unmet:
        print(f"error: required and missing: {', '.join(unmet)}", file=sys.stderr)
    return 3 if unmet else 0
