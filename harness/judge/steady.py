"""The steady state: the same world without faults tells whether a red verdict is the subject's or the machine's."""

from __future__ import annotations

from dataclasses import replace

from harness.history.stalls import describe_stalls, stood_still
from harness.history.wording import and_n_more, describe_call, describe_end
from harness.scenario.scenario import EXIT, Scenario
from harness.values.history import History
from harness.values.verdict import ERROR, FAILED, Judgement

ECHO = "echo"
"""The built-in subject that the machine is tried with where another subject does not join. It needs no torch."""


def needs_steady_state(scenario: Scenario, judgement: Judgement) -> bool:
    """Whether it is red and had faults: then the same world is played without them, and must join.

    A scenario without faults is its own steady state.
    """
    return is_red(judgement) and bool(scenario.faults)


def is_red(judgement: Judgement) -> bool:
    """Whether something broke, so that the machine is a possible cause; a stale `known` entry breaks nothing."""
    return judgement.status == FAILED and any(verdict.status == FAILED for verdict in judgement.verdicts)


def needs_echo(scenario: Scenario, steady: History) -> bool:
    """Whether the world without faults did not join, and only another subject can say why.

    If the play was cut short, or a part of the harness stood still, the cause is known.
    """
    if cut_short(steady) or stood_still(steady) or steady.begin.get("subject") == ECHO:
        return False
    return bool(_does_not_join(scenario, steady))


def judge_steady(scenario: Scenario, judgement: Judgement, steady: History, echo: History | None) -> Judgement:
    """What becomes of a red judgement, given its steady state.

    It stays red if the world joins without faults, or does not and joins with the built-in subject. Otherwise it is an
    error: then the machine cannot be ruled out.

    Args:
        echo: the same world, without faults, of the subject `echo`; None if that was not played. Older releases never
            did, so their stored runs are judged as they were.
    """
    because = _does_not_join(scenario, steady)
    if not because:
        return judgement
    stalls = describe_stalls(steady)
    because += f", and {stalls}" if stalls else ""
    alone = f"the same world without faults does not join ({because})"
    if echo is None:
        return says_nothing(judgement, alone)
    not_even_echo = _does_not_join(scenario, echo)
    if not_even_echo:
        return says_nothing(judgement, f"{alone}, and neither does it with the subject {ECHO} ({not_even_echo})")
    subject = steady.begin.get("subject")
    note = f"steady/ has the history of {subject} without faults, steady-echo/ that of {ECHO}"
    cause = f"{alone}, and it joins with the subject {ECHO}, so the cause is {subject} and not the machine"
    return replace(judgement, because=f"{judgement.because}; {cause}", notes=(*judgement.notes, note))


def says_nothing(judgement: Judgement, why: str) -> Judgement:
    """A red judgement, when what was played without faults could not clear the machine."""
    red = f"steady state: {why}, so the red verdict says nothing"
    return replace(judgement, status=ERROR, because=f"{red}; it was: {judgement.because}")


def cut_short(history: History) -> str:
    """Why nothing can be said about the subject; empty if something can."""
    ended = history.ended
    if ended is None:
        return "the run was cut short: its history has no end"
    return str(ended["error"]) if ended.get("error") else ""


def _does_not_join(scenario: Scenario, steady: History) -> str:
    """Why the world without faults did not join; empty if it did."""
    why = cut_short(steady)
    if why:
        return why
    # What a command does is not recorded: all that is known of it is how it ended.
    step = EXIT if steady.begin.get("subject") == "command" else "rendezvous"
    calls = [call for call in steady.calls if step in (call.step, call.f)]
    joined_ranks = {call.rank for call in calls if call.outcome == "ok"}
    missing = [rank for rank in range(scenario.world.size) if rank not in joined_ranks]
    if not missing:
        return ""
    ended = [f"{describe_call(call)} {describe_end(call)}" for call in calls if call.rank in missing]
    return ended[0] + and_n_more(len(ended)) if ended else f"rank {missing[0]} made no call"
