"""Every key of the page does what the help says, and a route by the keyboard alone ends at the command."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
import synthetic_runs

from browser import pages
from browser.opened import Open, Opened, Written

Check = Callable[[Opened], None]

HISTORY = synthetic_runs.small().history
(HUNG,) = [call for call in HISTORY.calls if call.outcome == "hung"]


def until(page: Opened, script: str) -> None:
    page.page.wait_for_function(f"() => {script}")


def has_op(pattern: str) -> Check:
    """The address names such a thing: an operation by its number, a message as m and its number."""
    return lambda page: until(page, f"/[?&]op={pattern}(&|$)/.test(location.hash)")


def focused(page: Opened) -> str:
    return str(page.ask("() => document.activeElement.dataset.row || document.activeElement.id"))


def is_focused(what: str) -> Check:
    return lambda page: until(page, f"(document.activeElement.dataset.row || document.activeElement.id) === '{what}'")


def is_at(place: str) -> Check:
    return lambda page: until(page, f"location.hash.split('?')[0] === '{place}'")


def copied(page: Opened) -> None:
    until(page, "[...document.querySelectorAll('.copy')].some(one => one.textContent === 'Copied')")


def has_window(page: Opened) -> None:
    """A part of the run is shown."""
    until(page, "/from=-?\\d+&to=\\d+/.test(location.hash)")


def shows_all(page: Opened) -> None:
    until(page, "!/from=/.test(location.hash)")


def help_is_open(page: Opened) -> None:
    until(page, "document.querySelector('dialog.help').open")


def is_shown(page: Opened) -> None:
    page.page.get_by_text("Nothing. j goes to the evidence").wait_for()


OVERVIEW: dict[str, tuple[list[str], Check]] = {
    "j": (["j", "j"], is_focused("6")),
    "k": (["j", "j", "k"], is_focused("0")),
    "Enter": (["j", "Enter"], is_at("#/run/0")),
    "c": (["j", "c"], copied),
    "/": (["/"], is_focused("filter")),
    "Escape": (["/", "x", "Escape", "Escape", "Escape"], lambda page: until(page, "!/q=/.test(location.hash)")),
    "?": (["?"], help_is_open),
}
"""The keys to press, the last of which is the one that is tried, and what must be so then."""

RUN: dict[str, tuple[list[str], Check]] = {
    "j": (["Escape", "j"], has_op(f"{HUNG.evidence[0]}")),
    "k": (["Escape", "k"], has_op(f"{HUNG.evidence[0]}")),
    ".": ([",", "."], has_op(f"{HUNG.evidence[0]}")),
    ",": ([","], has_op("\\d+")),
    "]": (["]"], has_op("m\\d+")),
    "[": (["["], has_op("m\\d+")),
    "e": (["Escape", "e"], has_op(f"({'|'.join(map(str, HUNG.evidence))})")),
    "f": ([",", "f"], has_window),
    "0": (["w", "0"], shows_all),
    "w": (["w"], has_window),
    "s": (["w", "w", "s"], has_window),
    "a": (["w", "a"], has_window),
    "d": (["w", "d"], has_window),
    "t": (["t"], lambda page: until(page, "/axis=linear/.test(location.hash)")),
    "/": (["/"], lambda page: until(page, "document.activeElement.matches('.operations input')")),
    "Escape": (["j", "Escape"], is_shown),
    "u": (["u"], is_at("#/")),
    "n": (["n"], is_at("#/run/6")),
    "p": (["n", "p"], is_at("#/run/0")),
    "c": (["c"], copied),
    "?": (["?"], help_is_open),
}


def begin(opened: Open, written: Written, fragment: str) -> Opened:
    return opened(written("several", pages.several), fragment, permissions=["clipboard-read", "clipboard-write"])


def press(page: Opened, keys: list[str]) -> None:
    """One after the other, each when the view that the one before opened stands."""
    for key in keys:
        title = page.page.title()
        page.press(key)
        if key == "n":  # The address changes at once, and the view with its title a moment later.
            page.page.wait_for_function("before => document.title !== before", arg=title)
        page.ready()


@pytest.mark.parametrize("key", OVERVIEW)
def test_a_key_of_the_overview(key: str, opened: Open, written: Written) -> None:
    """As the help says it."""
    keys, check = OVERVIEW[key]
    page = begin(opened, written, "#/")
    press(page, keys)
    check(page)


@pytest.mark.parametrize("key", RUN)
def test_a_key_of_a_run(key: str, opened: Open, written: Written) -> None:
    """Likewise."""
    keys, check = RUN[key]
    page = begin(opened, written, "#/run/0")
    press(page, keys)
    check(page)


@pytest.mark.parametrize(("fragment", "tried"), [("#/", OVERVIEW), ("#/run/0", RUN)], ids=["overview", "run"])
def test_the_help_names_the_keys_that_are_tried_here(
    fragment: str, tried: dict[str, object], opened: Open, written: Written
) -> None:
    """No more and no fewer; Escape closes it, and no key gets past it meanwhile."""
    page = begin(opened, written, fragment)
    before = page.fragment
    page.press("?")
    names = page.page.locator("dialog.help kbd").all_inner_texts()
    assert set(names) == set(tried)
    page.press("n", "j", "Tab", "Tab", "Tab")
    assert page.ask(
        "() => Boolean(document.activeElement.closest('dialog.help')) || document.activeElement === document.body"
    )
    assert page.fragment == before
    page.press("Escape")
    assert not page.ask("() => document.querySelector('dialog.help').open")


def test_keys_are_letters_where_somebody_types(opened: Open, written: Written) -> None:
    """In the filter no key leads anywhere."""
    page = begin(opened, written, "#/")
    page.press("/")
    page.page.keyboard.type("jk?cn")
    assert page.page.input_value("#filter") == "jk?cn"
    assert focused(page) == "filter"
    assert not page.ask("() => Boolean(document.querySelector('dialog[open]'))")


def test_the_keys_of_a_lane_stay_in_it(opened: Open, written: Written) -> None:
    """`,` goes to an earlier call of the same rank."""
    page = begin(opened, written, f"#/run/0?op={HUNG.evidence[0]}")
    page.press(",")
    until(page, f"!/op={HUNG.evidence[0]}(&|$)/.test(location.hash)")
    earlier = int(re.findall(r"op=(\d+)", page.fragment)[0])
    assert (HISTORY.ops[earlier].process.rank, earlier < HUNG.evidence[0]) == (HUNG.rank, True)


def test_a_query_and_its_reply(opened: Open, written: Written) -> None:
    """`]` goes from a query to its reply, and `[` comes back."""
    page = begin(opened, written, "#/run/0?op=m0")
    page.press("]")
    has_op("m1")(page)
    page.press("[")
    has_op("m0")(page)


def test_from_the_overview_to_the_command_by_keyboard_alone(opened: Open, written: Written) -> None:
    """The first red, its evidence, and the command that plays it again, in the clipboard."""
    page = begin(opened, written, "")
    press(page, ["j", "Enter", "j", "c"])
    copied(page)
    assert page.fragment.startswith("#/run/0?op=")
    assert page.ask("() => navigator.clipboard.readText()") == synthetic_runs.small().command
