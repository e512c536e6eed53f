"""Moments as values, checked against the steps, ranks and links that they speak of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from harness.engine.wire.grammar import KINDS
from harness.loader.keys.entries import Entry
from harness.loader.keys.fields import NEVER
from harness.loader.keys.moments import (
    FaultMomentKeys,
    FileMomentKeys,
    JobMomentKeys,
    LogMomentKeys,
    PortMomentKeys,
    ReadMoment,
    StepMomentKeys,
    WireMomentKeys,
)
from harness.loader.resolve.handlers import WrittenRank
from harness.loader.tree.nodes import Location
from harness.loader.tree.problems import Reporter, suggestion
from harness.scenario.moment import START, AllMoments, FaultMoment, Moment, SeenMoment, StepMoment, WireMoment
from harness.scenario.scenario import Fault, Step


@dataclass(frozen=True)
class Moments:
    """Turns the moments of one cell into values.

    Attributes:
        steps: by unique name, the steps that are sound.
        linked: the ranks that have links; None if they are not known, since other things are wrong.
        is_job: whether the ranks are programs, of which signs can be seen.
    """

    steps: Mapping[str, Step]
    linked: tuple[int, ...] | None
    report: Reporter
    is_job: bool = False

    def of_step(self, step: Step, entry: Entry) -> Step:
        """The step with its moment."""
        return replace(step, after=self.read(entry.keys.after, (*entry.location, "after")))

    def of_fault(self, fault: Fault, entry: Entry) -> Fault:
        """The fault with its moments."""
        keys, at = entry.keys, entry.location
        after, until = self.read(keys.after, (*at, "after")), self.read(keys.until, (*at, "until"))
        if keys.for_ is not None:
            if keys.until is not None:
                self.report((*at, "until"), "a fault has either `for` or `until`", "take one out", key=True)
            until = FaultMoment(fault.name, "injected", keys.for_)
        return replace(fault, after=after or START, until=until)

    def start(self, written: WrittenRank | None) -> Moment | None:
        """When a rank starts; None is never."""
        if written is None or written.keys.start is None:
            return START
        if written.keys.start == NEVER:
            return None
        return self.read(written.keys.start, ("world", "ranks", written.key, "start"))

    def read(self, keys: ReadMoment | None, location: Location) -> Moment | None:
        """The moment; None if it is absent, or wrong, which is reported."""
        if isinstance(keys, list):
            found = [self.read(one, (*location, index)) for index, one in enumerate(keys)]
            sound = tuple(moment for moment in found if moment is not None)
            if len(sound) < len(found):
                return None
            return sound[0] if len(sound) == 1 else AllMoments(sound)
        if isinstance(keys, StepMomentKeys):
            return self._step(keys, location)
        if isinstance(keys, FaultMomentKeys):
            return None if keys.fault is None else FaultMoment(keys.fault, keys.is_ or "injected", keys.plus or 0)
        if isinstance(keys, WireMomentKeys):
            return self._wire(keys, location)
        if isinstance(keys, LogMomentKeys | FileMomentKeys | PortMomentKeys):
            return self._sign(keys, location)
        if isinstance(keys, StepMoment):
            return replace(keys, life=self._life(keys.step, None))
        return keys

    def _step(self, keys: StepMomentKeys, location: Location) -> Moment | None:
        if keys.step is None:
            return None
        self._check_step(keys, location)
        return StepMoment(
            step=keys.step,
            ranks=keys.ranks or (),
            life=self._life(keys.step, keys.life),
            state=("ended",) if keys.is_ is None else tuple(dict.fromkeys(keys.is_)),
            count=keys.count,
            plus_ns=keys.plus or 0,
        )

    def _life(self, name: str, life: int | None) -> int:
        step = self.steps.get(name)
        return life or (step.life if step is not None and step.life is not None else 1)

    def _check_step(self, keys: StepMomentKeys, location: Location) -> None:
        """Report what makes the moment impossible."""
        step = self.steps.get(keys.step)
        if step is None:
            return
        check_ranks_have(keys.ranks or (), step.ranks, f"step {keys.step!r}", (*location, "ranks"), self.report)
        if keys.life is not None and step.life is not None and keys.life != step.life:
            message = f"step {keys.step!r} is in life {step.life} only"
            self.report((*location, "life"), message, f"write life: {step.life}")
        calls = step.times * len(keys.ranks or step.ranks)
        if keys.count is not None and keys.count > calls:
            self.report((*location, "count"), f"{keys.step!r} has only {calls} such calls", f"write at most {calls}")

    def _wire(self, keys: WireMomentKeys, location: Location) -> Moment | None:
        wire = keys.wire
        if (wire.query is None) == (wire.reply is None):
            hint = "write {query: KIND} or {reply: KIND}"
            self.report((*location, "wire"), "a message is either a query or a reply", hint)
            return None
        direction, kind = ("query", wire.query) if wire.query is not None else ("reply", wire.reply)
        if kind not in KINDS:
            hint = suggestion(kind, KINDS, "known")
            self.report((*location, "wire", direction), f"the store knows no {direction} {kind!r}", hint)
        self._check_links(wire.ranks or (), location)
        return WireMoment(direction, str(kind), wire.ranks or (), wire.key_, keys.count or 1, keys.plus or 0)

    def _sign(self, keys: JobMomentKeys, location: Location) -> Moment | None:
        """What is seen of a job."""
        kind = "log" if isinstance(keys, LogMomentKeys) else "file" if isinstance(keys, FileMomentKeys) else "port"
        what = getattr(keys, kind)
        if what is None:
            return None
        if not self.is_job:
            message = f"a moment of a {kind} is for a job, and this scenario has a workload"
            hint = "name a step: {step: NAME, is: ended}; or write `job: {argv: [...]}` in place of `workload`"
            self.report((*location, kind), message, hint, key=True)
        if isinstance(keys, LogMomentKeys):
            if len(what.splitlines()) > 1 or what != what.strip("\r\n"):
                self.report((*location, kind), "no line contains a line break", "write the text of one line")
            return SeenMoment(kind, what, keys.ranks or (), keys.nth or 1, keys.plus or 0)
        return SeenMoment(kind, str(what), plus_ns=keys.plus or 0)

    def _check_links(self, ranks: tuple[int, ...], location: Location) -> None:
        """Report ranks whose messages pass no proxy."""
        if self.linked is None:
            return
        if not self.linked:
            message = "no rank of this world has a link to see it on"
            self.report((*location, "wire"), message, "write `route: proxy`")
            return
        for rank in ranks:
            if rank not in self.linked:
                hint = "name the workers: the master uses the real endpoint"
                self.report((*location, "wire", "ranks"), f"rank {rank} has no link to see it on", hint)


def check_ranks_have(
    ranks: tuple[int, ...], having: tuple[int, ...], what: str, location: Location, report: Reporter
) -> None:
    """Report the ranks that have no call of `what`, where `having` are those that do."""
    absent = [rank for rank in ranks if rank not in having]
    if absent:
        who = f"rank {absent[0]} has" if len(absent) == 1 else f"ranks {', '.join(map(str, absent[:5]))} have"
        report(location, f"{who} no {what}", f"it is a step of rank {_range_text(having)}")


def _range_text(ranks: tuple[int, ...]) -> str:
    if len(ranks) > 2 and ranks == tuple(range(ranks[0], ranks[-1] + 1)):
        return f"{ranks[0]} to {ranks[-1]}"
    return ", ".join(map(str, ranks))
