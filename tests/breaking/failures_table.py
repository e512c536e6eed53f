"""The page of the failure catalogue: how stock and static-strict handle each failure, from the scenario files.

python tests/breaking/failures_table.py [--write]

prints what `docs/failures.md` should be, or writes it. What users see is in
`harness/reference/failures.yaml`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from scenarios_table import SCENARIOS, put

from harness.reference.failures import STOCK, STRICT, Failure, Shown, failures, shown

PAGE = SCENARIOS.parent / "docs" / "failures.md"
BEGIN, END = "<!-- failures: what tests/breaking/failures_table.py writes -->", "<!-- end of failures -->"


def table(text: str) -> str:
    """The page, with new rows and a new part for each failure."""
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    return f"{before}{BEGIN}\n\n" + "".join(f"{line}\n" for line in _lines(shown(failures()))) + f"\n{END}{after}"


def _lines(found: Mapping[str, Shown]) -> Iterator[str]:
    yield "| | failure | harm | scenarios | static | static-strict | why, or what remains |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for number, failure in failures().items():
        files = found[number]
        words = (files.of(STOCK), files.of(STRICT))
        why = "; ".join(files.because)
        link = f"[{number}](#{number.lower()})"
        cells = (link, failure.failure, failure.harm, str(len(files.titles) or ""), *words, why)
        yield "".join(f"| {cell} " if cell else "| " for cell in cells) + "|"
    for number, failure in failures().items():
        yield from _part(number, failure, found[number])


def _part(number: str, failure: Failure, files: Shown) -> Iterator[str]:
    yield from ("", f"## {number}", "", f"**{failure.failure}.** {failure.see}.", "")
    yield f"What helps: {failure.helps}."
    if files.upstream:
        yield from ("", f"Upstream: {', '.join(map(_issue, sorted(files.upstream)))}.")
    if files.titles:
        yield ""
    for name, title in files.titles.items():
        path = str(name).removeprefix("builtin:")
        yield f"- [{title}](../scenarios/{path}.rdzv.yaml)"


def _issue(ref: str) -> str:
    repository, _, number = ref.partition("#")
    return f"[{ref}](https://github.com/{repository}/issues/{number})"


if __name__ == "__main__":
    put(PAGE, table(PAGE.read_text(encoding="utf-8")), __doc__)
