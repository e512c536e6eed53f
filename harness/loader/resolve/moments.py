"""Moments as they are written, turned into values: names resolved, durations in nanoseconds."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from harness.engine.wire.grammar import KINDS
from harness.loader.keys.fields import FaultMomentKeys, RawMoment, StepMomentKeys, WireMomentKeys
from harness.loader.keys.names import Names, ReportProblem, ranks_within, resolve_ranks
from harness.loader.tree.nodes import Location
from harness.loader.tree.problems import suggestion
from harness.scenario.moment import AllMoments, FaultMoment, Moment, StepMoment, TimeMoment, WireMoment
from harness.scenario.scenario import EXIT
from harness.values.quantity import Duration, parse_duration


@dataclass(frozen=True)
class Moments:
    """Reads the moments of one cell."""

    names: Names
    size: int
    timeout_ns: int
    report: ReportProblem
    linked: Callable[[], Collection[int] | None] = lambda: None
    """The ranks that have links; None if that cannot be told, since other things are wrong."""

    def read(self, raw: RawMoment, location: Location) -> Moment | None:
        """The moment; None if it is wrong, which is told."""
        if isinstance(raw, str):
            return self._text(raw, location)
        if isinstance(raw, list):
            found = [self.read(one, (*location, index)) for index, one in enumerate(raw)]
            sound = tuple(moment for moment in found if moment is not None)
            if len(sound) < len(found):
                return None
            return sound[0] if len(sound) == 1 else AllMoments(sound)
        if isinstance(raw, StepMomentKeys):
            return self._step(raw, location)
        if isinstance(raw, FaultMomentKeys):
            return self._fault(raw, location)
        return self._wire(raw, location)

    def duration(self, duration: Duration | None, location: Location) -> int:
        """Nanoseconds, 0 if absent; a negative one is told."""
        if duration is None:
            return 0
        ns = duration.resolve(self.timeout_ns)
        if ns < 0:
            self.report(location, "a duration cannot be negative here", "write a longer one")
        return max(0, ns)

    def _text(self, text: str, location: Location) -> Moment | None:
        try:
            return TimeMoment(self.duration(parse_duration(text), location))
        except ValueError as error:
            if not text[:1].isalpha():
                message, _, hint = str(error).partition("; ")
                self.report(location, message, hint)
                return None
        if text == EXIT:
            return StepMoment(EXIT)
        entry = self.names.entry(text, location)
        if entry is None:
            return None
        name = self.names.of(entry)
        return FaultMoment(name) if entry.family == "fault" else StepMoment(name, life=self._life(name, None))

    def _step(self, raw: StepMomentKeys, location: Location) -> Moment | None:
        plus_ns = self.duration(raw.plus, (*location, "plus"))
        ranks = () if raw.ranks is None else resolve_ranks(raw.ranks, self.size, (*location, "ranks"), self.report)
        name = EXIT
        if raw.step != EXIT:
            entry = self.names.entry(raw.step, (*location, "step"), "step")
            if entry is None:
                return None
            name = self.names.of(entry)
        self._check_step(raw, name, ranks, location)
        return StepMoment(
            step=name,
            ranks=ranks,
            life=self._life(name, raw.life),
            state=("ended",) if raw.is_ is None else tuple(dict.fromkeys(raw.is_)),
            count=raw.count,
            plus_ns=plus_ns,
        )

    def _life(self, name: str, life: int | None) -> int:
        step = self.names.steps.get(name)
        return life or (step.life if step is not None and step.life is not None else 1)

    def _check_step(self, raw: StepMomentKeys, name: str, ranks: tuple[int, ...], location: Location) -> None:
        """ReportProblem what makes the moment impossible."""
        step = self.names.steps.get(name)
        if step is None:
            return
        ranks_within(ranks, step.ranks, (*location, "ranks"), f"step {raw.step!r}", self.report)
        if raw.life is not None and step.life is not None and raw.life != step.life:
            self.report(
                (*location, "life"), f"step {raw.step!r} is in life {step.life} only", f"write life: {step.life}"
            )
        calls = step.times * len(ranks or step.ranks)
        if raw.count is not None and raw.count > calls:
            self.report((*location, "count"), f"{raw.step!r} has only {calls} such calls", f"write at most {calls}")

    def _fault(self, raw: FaultMomentKeys, location: Location) -> Moment | None:
        plus_ns = self.duration(raw.plus, (*location, "plus"))
        entry = self.names.entry(raw.fault, (*location, "fault"), "fault")
        return None if entry is None else FaultMoment(self.names.of(entry), raw.is_ or "injected", plus_ns)

    def _wire(self, raw: WireMomentKeys, location: Location) -> Moment | None:
        plus_ns = self.duration(raw.plus, (*location, "plus"))
        ranks = raw.wire.ranks
        found = () if ranks is None else resolve_ranks(ranks, self.size, (*location, "wire", "ranks"), self.report)
        if (raw.wire.query is None) == (raw.wire.reply is None):
            hint = "write {query: KIND} or {reply: KIND}"
            self.report((*location, "wire"), "a message is either a query or a reply", hint)
            return None
        direction, kind = ("query", raw.wire.query) if raw.wire.query is not None else ("reply", raw.wire.reply)
        if kind not in KINDS:
            hint = suggestion(kind, KINDS, "known")
            self.report((*location, "wire", direction), f"the store knows no {direction} {kind!r}", hint)
        self._check_links(found, location)
        return WireMoment(direction, str(kind), found, raw.wire.key_, raw.count or 1, plus_ns)

    def _check_links(self, ranks: tuple[int, ...], location: Location) -> None:
        """ReportProblem of ranks whose messages pass no proxy."""
        linked = self.linked()
        if linked is None:
            return
        if not linked:
            self.report((*location, "wire"), "no rank of this world has a link to see it on", "write `route: proxy`")
        for rank in ranks if linked else ():
            if rank not in linked:
                hint = "name the workers: who is told rank 0 gets the real endpoint"
                self.report((*location, "wire", "ranks"), f"rank {rank} has no link to see it on", hint)
