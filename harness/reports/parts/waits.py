"""Who waited for whom in one result, as reports show it."""

from __future__ import annotations

from collections.abc import Iterator

from harness.history.waiting import Waits, who_waits
from harness.judge.result import Result
from harness.reports.parts.operations import since_start
from harness.reports.parts.safe import one_line
from harness.scenario.scenario import Scenario
from harness.values.history import History
from harness.values.verdict import FAILED


def of(result: Result) -> Waits:
    """The waits of a result; of a run whose operations do not fit together, none."""
    return of_history(result.scenario, result.history) if result.waits is None else result.waits


def of_history(scenario: Scenario, history: History) -> Waits:
    """Likewise, of a run that may never have been judged."""
    try:
        return who_waits(scenario, history)
    except Exception:  # a report of everything else is worth more; the judgement's notes say that this failed
        return Waits()


def about_the_verdict(result: Result) -> str:
    """The sentence that explains why a result is red; empty if the calls of the broken claims did not wait.

    Where the run shows nothing (`vacuous`, `error`), any wait may be the reason.
    """
    waits = of(result)
    if result.status != FAILED:
        return waits.sentence
    return waits.sentence_about({index for verdict in result.judgement.broken for index in verdict.evidence})


def lines(scenario: Scenario, history: History) -> Iterator[str]:
    """Every edge in a line."""
    for edge in of_history(scenario, history).edges:
        begun = since_start(history, edge.call.begun_ns or 0)
        yield one_line(f"{begun:>10}  {edge.text}   [{edge.cause.why}]")
