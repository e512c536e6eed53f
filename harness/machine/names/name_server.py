"""A small DNS server that answers from hosts files; rules make it answer late, wrongly or not at all.

    python -m harness.machine.names.name_server '{"udp": FD, "tcp": FD}'

It gets its sockets from its parent, so it serves the network that they were made in. It reads lines of JSON on standard
input and answers each with one line: `{"rules": [...]}` replaces the rules, `{"count": NAME}` asks for the count of a
rule. It ends when its input ends, and with its parent.

Messages are encoded by hand: one question, at most two answers, no compression to read. A library would add 20 ms
(dnslib) or 60 ms (dnspython) of processor time for its import, and every play with such a fault waits for it.
"""

from __future__ import annotations

import heapq
import ipaddress
import itertools
import json
import os
import selectors
import socket
import struct
import sys
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from harness import clock
from harness.machine.names import hosts_file
from harness.machine.process import namespaces

PORT = 53
A, PTR, AAAA = 1, 12, 28
KINDS = {A: "A", PTR: "PTR", AAAA: "AAAA"}
NO_ERROR, NO_SUCH_NAME = 0, 3
LARGEST = 4096
MOST_NAMES = 50
"""A count lists at most so many of the names asked for."""

_HEADER = struct.Struct("!6H")
_RESPONSE, _RECURSION = 0x8080, 0x0100
_REVERSE = {".in-addr.arpa": 4, ".ip6.arpa": 6}


@dataclass(frozen=True)
class Rule:
    """What is done to the queries of some hosts.

    Attributes:
        name: of the fault that made it.
        hosts: the hosts file that is read at every query, including hidden entries.
        clients: names of the hosts that it applies to; their addresses are read from `hosts` at every query.
        delay_ns: how long an answer is delayed.
        silent: whether it never answers.
        one_in: it hits the first of every so many queries.
        instead: by name, the address given in place of the true one; None: the name does not exist. A rule with any
            hits the queries for these names only.
        first: whether the true address of these names follows as their second.
    """

    name: str
    hosts: str
    clients: Sequence[str]
    delay_ns: int = 0
    silent: bool = False
    one_in: int = 1
    instead: Mapping[str, str | None] = field(default_factory=dict)
    first: bool = False

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def concerns(self, question: Question) -> bool:
        """Whether the rule applies to this question, from any client."""
        return not self.instead or question.name in self.instead


@dataclass
class Count:
    """The queries that one rule applied to.

    Attributes:
        asked: how many there were.
        hit: how many of them were answered late or wrongly, or not at all.
        unanswered: of those, the ones that get no answer.
        untrue: the ones that got another answer than the hosts file has.
        late: the ones that were answered after `delay_ns`; `longest_ns`: the longest time from query to answer.
        waiting: the ones whose late answer is still to come.
        kinds, clients, names: how many there were of each.
    """

    hit: int = 0
    unanswered: int = 0
    untrue: int = 0
    late: int = 0
    longest_ns: int = 0
    waiting: int = 0
    asked: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    clients: Counter[str] = field(default_factory=Counter)
    names: Counter[str] = field(default_factory=Counter)

    def note(self, question: Question, client: str, one_in: int) -> bool:
        """Count a query; returns whether the rule hits it."""
        is_hit = self.asked % one_in == 0
        self.asked += 1
        self.hit += is_hit
        self.kinds[KINDS.get(question.kind, str(question.kind))] += 1
        self.clients[client] += 1
        if question.name in self.names or len(self.names) < MOST_NAMES:
            self.names[question.name] += 1
        return is_hit

    def answered_late(self, after_ns: int) -> None:
        """Count an answer that was sent so long after its query."""
        self.waiting -= 1
        self.late += 1
        self.longest_ns = max(self.longest_ns, after_ns)

    def to_json(self) -> dict[str, Any]:
        done = {name: getattr(self, name) for name in ("unanswered", "untrue", "late", "longest_ns", "waiting")}
        facts = {name: number for name, number in done.items() if number}
        return {"hit": self.hit, **facts, "kinds": self.kinds, "clients": self.clients, "names": self.names}


# -- messages ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Question:
    """The question of a message: a name in lower case without the last dot, and the kind of record asked for."""

    number: int
    flags: int
    name: str
    kind: int
    wire: bytes


def read(message: bytes) -> Question:
    """The question of a query; raises ValueError if the message is not a query."""
    try:
        number, flags, count, *_ = _HEADER.unpack_from(message)
        at, labels = _HEADER.size, []
        while length := message[at]:
            labels.append(message[at + 1 : at + 1 + length].decode("ascii"))
            at += 1 + length
        (kind,) = struct.unpack_from("!H", message, at + 1)
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise ValueError(f"not a DNS query: {error}") from error
    if flags & 0x8000 or count != 1:
        raise ValueError("not a DNS query with one question")
    return Question(number, flags, ".".join(labels).lower(), kind, message[_HEADER.size : at + 5])


def reply(question: Question, code: int, *records: bytes) -> bytes:
    """The reply to a question, with these records of the kind asked for, each with a time to live of 0."""
    flags = _RESPONSE | (question.flags & _RECURSION) | code
    header = _HEADER.pack(question.number, flags, 1, len(records), 0, 0)
    heads = (struct.pack("!HHHIH", 0xC000 | _HEADER.size, question.kind, 1, 0, len(record)) for record in records)
    return header + question.wire + b"".join(head + record for head, record in zip(heads, records, strict=True))


def answer(
    question: Question, hosts: Path, instead: Mapping[str, str | None], first: Collection[str] = frozenset()
) -> bytes:
    """The reply from the hosts file, except for the names in `instead`; for those in `first` too, the true one last."""
    if question.kind == PTR:
        name = hosts_file.name_of(hosts, _address_in(question.name))
        return reply(question, NO_ERROR, _wire_name(name)) if name else reply(question, NO_SUCH_NAME)
    true = hosts_file.address_of(hosts, question.name)
    known = question.name in instead
    found = [instead[question.name]] if known else [true]
    found += [true] if known and question.name in first else []
    packed = [ipaddress.ip_address(address).packed for address in found if address is not None]
    if not packed:
        return reply(question, NO_SUCH_NAME)
    # A name that has only an address of the other family exists, but has no such record.
    return reply(question, NO_ERROR, *(one for one in packed if len(one) == {A: 4, AAAA: 16}.get(question.kind)))


def _address_in(name: str) -> str:
    """The address that a reverse name stands for; empty if malformed."""
    for suffix, version in _REVERSE.items():
        if name.endswith(suffix):
            parts = name.removesuffix(suffix).split(".")[::-1]
            try:
                if version == 4:
                    return str(ipaddress.IPv4Address(".".join(parts)))
                return str(ipaddress.IPv6Address(int("".join(parts), 16)))
            except ValueError:
                return ""
    return ""


def _wire_name(name: str) -> bytes:
    labels = [label.encode("ascii") for label in name.split(".")]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


# -- serving -------------------------------------------------------------------------------------------------------


Send = Callable[[bytes], Any]


@dataclass(order=True)
class _Late:
    """An answer that is still to be sent."""

    due_ns: int
    order: int
    asked_ns: int = field(compare=False)
    send: Send = field(compare=False)
    message: bytes = field(compare=False)
    counts: Sequence[Count] = field(compare=False)


class NameServer:
    """Answers on one UDP socket and one TCP listener, in one thread."""

    def __init__(self, udp: socket.socket, tcp: socket.socket) -> None:
        self._udp, self._tcp = udp, tcp
        self._rules: list[Rule] = []
        self._counts: dict[str, Count] = {}
        self._late: list[_Late] = []
        self._numbers = itertools.count()
        self._unread = b""
        self._selector = selectors.DefaultSelector()
        for source, act in ((udp, self._take_datagram), (tcp, self._take_connection), (sys.stdin, self._take_order)):
            self._selector.register(source, selectors.EVENT_READ, act)

    def serve(self) -> None:
        """Serve until the input ends."""
        while True:
            for key, _ in self._selector.select(self._seconds_to_next()):
                if key.data(key.fileobj) is False:
                    return
            self._send_due()

    def _seconds_to_next(self) -> float | None:
        return max(0, self._late[0].due_ns - clock.now_ns()) / 1e9 if self._late else None

    def _send_due(self) -> None:
        while self._late and self._late[0].due_ns <= (now_ns := clock.now_ns()):
            late = heapq.heappop(self._late)
            _quietly(late.send, late.message)
            for count in late.counts:
                count.answered_late(now_ns - late.asked_ns)

    # Receiving queries.

    def _take_datagram(self, _: Any) -> None:
        message, sender = self._udp.recvfrom(LARGEST)
        self._take(message, sender[0], lambda data: self._udp.sendto(data, sender))

    def _take_connection(self, _: Any) -> None:
        connection, _address = self._tcp.accept()
        connection.setblocking(False)
        self._selector.register(connection, selectors.EVENT_READ, self._take_stream)

    def _take_stream(self, connection: socket.socket) -> None:
        """Queries over TCP: each must come in one piece, which short ones do; otherwise the connection is closed."""
        try:
            data, client = connection.recv(LARGEST), connection.getpeername()[0]
        except OSError:
            data, client = b"", ""
        while len(data) > 2 and len(data) >= (end := 2 + int.from_bytes(data[:2], "big")):
            self._take(data[2:end], client, lambda reply: connection.send(len(reply).to_bytes(2, "big") + reply))
            data = data[end:]
            if not data:
                return
        self._selector.unregister(connection)
        connection.close()

    def _take_order(self, _: Any) -> bool:
        data = os.read(sys.stdin.fileno(), 1 << 16)
        *lines, self._unread = (self._unread + data).split(b"\n")
        for line in lines:
            print(json.dumps(self._obey(json.loads(line))), flush=True)
        return bool(data)

    def _obey(self, order: Mapping[str, Any]) -> Mapping[str, Any]:
        if "count" in order:
            return self._counts[order["count"]].to_json()
        self._rules = [Rule(**rule) for rule in order["rules"]]
        for rule in self._rules:
            self._counts.setdefault(rule.name, Count())
        return {}

    # Answering them.

    def _take(self, message: bytes, address: str, send: Send) -> None:
        try:
            question = read(message)
        except ValueError:
            return
        if not self._rules:
            return
        client, rules = self._rules_for(address)
        hits = [rule for rule in rules if self._hits(rule, question, client)]
        if silent := [rule for rule in hits if rule.silent]:
            for rule in silent:
                self._counts[rule.name].unanswered += 1
            return
        instead = {name: address for rule in hits for name, address in rule.instead.items()}
        first = {name for rule in hits if rule.first for name in rule.instead}
        hosts = Path((hits or rules or self._rules)[0].hosts)
        data = answer(question, hosts, instead, first)
        for rule in hits if instead and data != answer(question, hosts, {}) else ():
            self._counts[rule.name].untrue += bool(rule.instead)
        self._send(data, [rule for rule in hits if rule.delay_ns], send)

    def _rules_for(self, address: str) -> tuple[str, list[Rule]]:
        """The client's name and the rules for it; a host that moved is found under its new address."""
        address = address.removeprefix("::ffff:")
        names = {rule.hosts: hosts_file.name_of(Path(rule.hosts), address) for rule in self._rules}
        rules = [rule for rule in self._rules if names[rule.hosts] in rule.clients]
        return next((name for name in names.values() if name), address), rules

    def _hits(self, rule: Rule, question: Question, client: str) -> bool:
        return rule.concerns(question) and self._counts[rule.name].note(question, client, rule.one_in)

    def _send(self, data: bytes, slow: Sequence[Rule], send: Send) -> None:
        if not slow:
            _quietly(send, data)
            return
        now_ns, counts = clock.now_ns(), [self._counts[rule.name] for rule in slow]
        due_ns = now_ns + sum(rule.delay_ns for rule in slow)
        heapq.heappush(self._late, _Late(due_ns, next(self._numbers), now_ns, send, data, counts))
        for count in counts:
            count.waiting += 1


def _quietly(send: Send, message: bytes) -> None:
    """The client may have gone meanwhile, and the server must go on."""
    try:
        send(message)
    except OSError:
        return


def main(arguments: Mapping[str, int]) -> None:
    """Serve the sockets of these descriptors."""
    namespaces.end_with_parent()
    udp, tcp = (socket.socket(fileno=arguments[name]) for name in ("udp", "tcp"))
    with udp, tcp:
        NameServer(udp, tcp).serve()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
