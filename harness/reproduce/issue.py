"""The text of a bug report: what happens, what is expected, the versions, the script, and where calls hang."""

from __future__ import annotations

from harness.reproduce.claims import expectation, headline
from harness.reproduce.script import Script, Seen

_TITLE = "[elastic][rendezvous] static TCP rendezvous:"


def report(script: Script, seen: Seen, output: str) -> str:
    """A bug report for torch's tracker, in Markdown.

    Args:
        output: of one run that failed as found; with the stacks of hung calls.
    """
    expected = expectation(script.scenario, script.breaks)
    happens = [f"- {line}" for line in seen.broken] or ["- it was not seen to fail"]
    because = [f"Why, as far as it is known: {script.because}.", ""] if script.because else []
    return "\n".join(
        [
            f"# {_TITLE} {headline(script.scenario, script.breaks)}",
            "",
            "## What happens",
            "",
            *happens,
            "",
            *because,
            f"The script below failed as described in {seen.failed} of {seen.of} runs.",
            "",
            "## What is expected",
            "",
            f"{expected[:1].upper()}{expected[1:]}.",
            "",
            "## Versions",
            "",
            f"{seen.where or 'not known'}",
            "",
            "## What the script prints",
            "",
            *_fenced(output.rstrip() or "nothing", "text"),
            "",
            "## Script",
            "",
            "It needs the standard library and torch. Exit status 1: it fails as described; 0: it does not.",
            "",
            *_fenced(script.text(seen).rstrip(), "python"),
            "",
        ]
    )


def _fenced(text: str, language: str) -> list[str]:
    """A block of code; its fence is longer than any in the text."""
    fence = "```"
    while fence in text:
        fence += "`"
    return [f"{fence}{language}", text, fence]
