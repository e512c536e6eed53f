"""Every checker that is right about any scenario, as one claim: what a run must keep of which nothing is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.checkers.base import CHECKERS, Checker, explored_invariants
from harness.history.wording import and_n_more, counted, joined
from harness.scenario.scenario import Scenario
from harness.values.attribute import Attribute, Declaration
from harness.values.history import History
from harness.values.verdict import ERROR, FAILED, VACUOUS, Verdict


@CHECKERS.register("invariants")
class Invariants(Checker):
    """Each violation keeps the name of the checker that found it."""

    declaration = Declaration(
        kind="invariants",
        summary="everything holds that holds in every run",
        attributes=(Attribute("without", "keys", "the kinds of checks to leave out", default=(), default_text="none"),),
        example="{check: invariants, without: [deadline]}",
        details=(
            "For runs of which nobody has written down what should happen. It asks each check that may be asked of any"
            " run (`explored`), with its default parameters and guards of its own. The standing invariants judge every"
            " run anyway. It fails if one of them fails, and each violation keeps the name of its check; if none fails"
            " and one cannot decide, it is an error. These limits, which docs/rendezvous.md names, are no violations of"
            " `static-strict`: reverse look-ups (F11), `compare_set` of a missing key (F43), an `add` to text (F45),"
            " sums that wrap around (F46), and what `num_keys` counts. Other limits of a subject are violations."
        ),
    )

    @classmethod
    def problems(cls, parameters: Mapping[str, Any]) -> Sequence[str]:
        asked = explored_invariants()
        unknown = [kind for kind in _without(parameters) if kind not in asked]
        return [
            f"`without` has {kind!r}, which `invariants` does not ask; it asks {joined(list(asked))}"
            for kind in unknown
        ]

    def check(self, scenario: Scenario, history: History, parameters: Mapping[str, Any]) -> Verdict:
        wrong = self.problems(parameters)
        if wrong:
            return self._verdict(ERROR, wrong[0])
        left_out = _without(parameters)
        kinds = [kind for kind in explored_invariants() if kind not in left_out]
        verdicts = {kind: CHECKERS[kind]().explore(scenario, history) for kind in kinds}
        failed = {kind: verdict for kind, verdict in verdicts.items() if verdict.status == FAILED}
        if failed:
            return self._failed(failed)
        unknown = [f"{kind}: {verdict.because}" for kind, verdict in verdicts.items() if verdict.status == ERROR]
        if unknown:
            return self._verdict(ERROR, "; ".join(unknown))
        held = [kind for kind, verdict in verdicts.items() if verdict.status != VACUOUS]
        if not held:
            return self.nothing("no check had anything to judge")
        return self._held(verdicts, held)

    def _failed(self, failed: Mapping[str, Verdict]) -> Verdict:
        (kind, first), *_ = failed.items()
        violations = tuple(violation for verdict in failed.values() for violation in verdict.violations)
        evidence = tuple(dict.fromkeys(index for verdict in failed.values() for index in verdict.evidence))
        because = f"{kind}: {first.because}{and_n_more(len(failed))}"
        expected = joined([verdict.expected for verdict in failed.values()])
        return Verdict(
            self.declaration.kind, FAILED, because, expected, first.happened, evidence, violations=violations
        )

    def _held(self, verdicts: Mapping[str, Verdict], held: Sequence[str]) -> Verdict:
        """A bound of time that holds only with the lateness measured is told."""
        most = max((verdicts[kind] for kind in held), key=lambda verdict: verdict.granted_ns)
        fine = f"{counted(len(held), 'check')} held: {joined(list(held))}"
        if not most.granted_ns:
            return self.verdict((), fine)
        because = f"{fine}; {most.because}"
        return Verdict(
            self.declaration.kind,
            most.status,
            because,
            self.declaration.summary,
            most.happened,
            most.evidence,
            granted_ns=most.granted_ns,
        )

    def _verdict(self, status: str, because: str) -> Verdict:
        return Verdict(self.declaration.kind, status, because, self.declaration.summary)


def _without(parameters: Mapping[str, Any]) -> tuple[str, ...]:
    kinds = parameters.get("without") or ()
    return (kinds,) if isinstance(kinds, str) else tuple(map(str, kinds))
