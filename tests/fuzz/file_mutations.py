"""Scenario files as a hostile or careless hand writes them: drawn from a seed, the same for the same number."""

from __future__ import annotations

import io
import json
import random
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from harness.loader.keys import members
from harness.loader.keys.unions import keys_of

SCENARIOS = Path(__file__).parents[2] / "scenarios"
CHANGES = (1, 1, 1, 2, 4)
"""How many changes a file gets, drawn from these."""

NASTY = [
    "", "~", "null", "true", "on", "0", "-1", "1", "7", "1.5", "1e400", "-1e400", ".inf", "-.inf", ".nan",
    "1e-400", "0x", "0x" + "f" * 390, "0o17", "9" * 19, "9" * 320, "9" * 4400, "-" + "9" * 100, "2147483647",
    "2147483648", "9223372036854775807", "9223372036854775808", "0s", "1us", "1ns", "50000min", "1440min",
    "1441min", "9" * 320 + "s", "0." + "9" * 400 + "s", "1000 * timeout", "1001 * timeout", "99999 * timeout",
    "timeout", "timeout * 1e9", "-1s", "timeout - 100s", "0 * timeout", "86400s + 86400s", "[]", "{}", "[[]]",
    "[[[1, 0]]]", "[1s, 0s]", "[0, 0, 0]", "0-999999", "9-1", "0-", "workers", "all", "never", "exit", "join",
    "1B", "1025GiB", "1e9MB", "0B/s", "999999MB/s", "65536", "-65536", '""', '"\\0"', '"\\e[31m\\e]0;x\\a"',
    '"\\uD800"', '"\\u202e"', '"\\u2028"', '"a\\nb"', "[bold]x[/bold]", "'", '"', "*a", "&a x", "*unknown",
    "!!python/object:os.system {}", "!!python/name:os.system x", "!!binary aGk=", "!!set {a, b}",
    "!!timestamp 2001-01-01", "2001-01-01", "!!int x", "!!float x", "!!bool x", "!x y", "!!null x", "!!str 5",
    "<<: {a: 1}", "{<<: {size: 2}}", "a" * 300, "a" * 20_000, "*" * 200, "[" * 60 + "]" * 60,
    "{a: " * 60 + "}" * 60, "- - - x", "? a", "? [a]: b", "|", ">-", "|\n   text", "=", "%", "@", "`", "\t",
    "\x07", "\x1b[2J", "\x00", "\ufeff", "\u2028", "\x85", "\r", "\u202e", "\U0001f600", ">=2.6,<" + "9" * 300,
    "{step: join, is: ok, count: 99}", "{step: join, plus: 50000min}", "{fault: x}", "{wire: {query: get}}",
    "{wire: {reply: '*', key: '" + "*a" * 200 + "'}}", "[join, join, 5s]", "{A=B: x}", "{'': x}",
]  # fmt: skip
"""Values that have tripped readers up: of this format, of YAML, of numbers and of terminals."""

_TOKEN = re.compile(r"[A-Za-z0-9_.*-]+|\"[^\"]*\"|[\[\]{},:&*!#|>-]")
_AFTER_COLON = re.compile(r"(?<=: )[^,}\]\n]+")


@cache
def texts() -> tuple[str, ...]:
    """The files of this project, the smaller ones twice as likely to be drawn."""
    found = [path.read_text(encoding="utf-8") for path in sorted(SCENARIOS.rglob("*.rdzv.yaml"))]
    return (*found, *(text for text in found if len(text) < 900))


@cache
def _trees() -> tuple[Any, ...]:
    reader = YAML(typ="safe", pure=True)
    return tuple(reader.load(text) for text in texts()[::3])


@cache
def _words() -> tuple[str, ...]:
    """Every key and every kind of the format."""
    from harness.loader.keys import models, moments

    known = [models.Document, models.World, models.RankKeys, models.RepeatedStepKeys, models.ToxicKeys]
    known += [models.StepClaimKeys, models.KnownKeys, moments.StepMomentKeys, moments.WireKeys]
    words = [key for model in known for key in keys_of(model)]
    for family in ("step", "fault", "check"):
        for declaration in members.catalogue()[family]:
            words += [declaration.kind, *(one.name for one in declaration.attributes)]
    return tuple(dict.fromkeys(words))


def mutated(seed: int, number: int) -> bytes:
    """The `number`-th file of a seed."""
    draw = random.Random(f"{seed}.{number}")
    text = _changed_tree(draw) if draw.random() < 0.35 else _changed_text(draw)
    return _encoded(draw, text)


# -- text ----------------------------------------------------------------------------------------------------------


def _changed_text(draw: random.Random) -> str:
    text = draw.choice(texts())
    for _ in range(draw.choice(CHANGES)):
        text = draw.choice(_CHANGES_OF_TEXT)(draw, text)
    return text


def _nasty(draw: random.Random) -> str:
    return draw.choice(NASTY) if draw.random() < 0.8 else draw.choice(_words())


def _other_value(draw: random.Random, text: str) -> str:
    return _replaced(draw, text, _AFTER_COLON, _nasty(draw))


def _other_token(draw: random.Random, text: str) -> str:
    return _replaced(draw, text, _TOKEN, _nasty(draw))


def _token_of_another(draw: random.Random, text: str) -> str:
    return _replaced(draw, text, _TOKEN, draw.choice(_TOKEN.findall(draw.choice(texts()))))


def _replaced(draw: random.Random, text: str, pattern: re.Pattern[str], new: str) -> str:
    places = list(pattern.finditer(text))
    if not places:
        return text
    place = draw.choice(places)
    return text[: place.start()] + new + text[place.end() :]


def _without_line(draw: random.Random, text: str) -> str:
    lines = text.split("\n")
    del lines[draw.randrange(len(lines))]
    return "\n".join(lines)


def _line_again(draw: random.Random, text: str) -> str:
    lines = text.split("\n")
    place = draw.randrange(len(lines))
    times = draw.choice((1, 1, 2, 50, 1500))
    return "\n".join([*lines[:place], *([lines[place]] * times), *lines[place:]])


def _line_of_another(draw: random.Random, text: str) -> str:
    lines = text.split("\n")
    lines.insert(draw.randrange(len(lines) + 1), draw.choice(draw.choice(texts()).split("\n")))
    return "\n".join(lines)


def _indented(draw: random.Random, text: str) -> str:
    lines = text.split("\n")
    place = draw.randrange(len(lines))
    lines[place] = draw.choice((" ", "  ", "\t", "    ")) + lines[place]
    return "\n".join(lines)


def _cut(draw: random.Random, text: str) -> str:
    return text[: draw.randint(0, len(text))]


def _inserted(draw: random.Random, text: str) -> str:
    place = draw.randint(0, len(text))
    return text[:place] + _nasty(draw) + text[place:]


def _aliased(draw: random.Random, text: str) -> str:
    """A value gets an anchor, and others become its alias: also such that stand before it, or inside it."""
    text = _AFTER_COLON.sub(lambda found: f"&a {found[0]}" if draw.random() < 0.1 else found[0], text)
    return _AFTER_COLON.sub(lambda found: "*a" if draw.random() < 0.1 else found[0], text)


def _bombed(draw: random.Random, text: str) -> str:
    """Aliases of aliases, somewhere."""
    section = draw.choice(("x_bomb", "matrix", "exclude", "expect", "known", "tags", "workload", "faults", "world"))
    width, height = draw.choice(((9, 9), (2, 40), (300, 3), (2, 12)))
    lines = ["x_0: &b0 [x, x]"]
    lines += [f"x_{n}: &b{n} [{', '.join([f'*b{n - 1}'] * width)}]" for n in range(1, height)]
    return "\n".join([*lines, text, f"{section}: *b{height - 1}"])


def _wide_matrix(draw: random.Random, text: str) -> str:
    count, lines = draw.choice(((2, 12), (50, 3), (999, 1), (1, 200), (1001, 1), (30, 2)))
    rows = [f"  world.ranks.{n}.start: [{', '.join(f'{one}ms' for one in range(count))}]" for n in range(lines)]
    return "\n".join([text, "matrix:", *rows, "exclude:", f"  - {{world.ranks.0.start: {_nasty(draw)}}}"])


def _large_world(draw: random.Random, text: str) -> str:
    return re.sub(r"size: \d+", f"size: {draw.choice((0, 1, 64, 1024, 1025, 10**9))}", text, count=1)


_CHANGES_OF_TEXT: list[Callable[[random.Random, str], str]] = [
    *[_other_value] * 6, *[_other_token] * 4, _token_of_another, _without_line, _line_again, _line_of_another,
    _indented, _cut, _inserted, _aliased, _bombed, _wide_matrix, _large_world,
]  # fmt: skip


# -- trees ---------------------------------------------------------------------------------------------------------


def _changed_tree(draw: random.Random) -> str:
    tree = json.loads(json.dumps(draw.choice(_trees())))
    for _ in range(draw.choice(CHANGES)):
        holder, key = draw.choice(_slots(tree))
        _change_slot(draw, tree, holder, key)
    target = io.StringIO()
    writer = YAML(typ="safe", pure=True)
    writer.dump(tree, target)
    return target.getvalue()


def _slots(tree: Any) -> list[tuple[Any, Any]]:
    """Every place of a value: what holds it, and its key or number there."""
    keys = list(tree) if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ()
    return [slot for key in keys for slot in [(tree, key), *_slots(tree[key])]]


def _change_slot(draw: random.Random, tree: Any, holder: Any, key: Any) -> None:
    what = draw.randrange(6)
    if what == 0:
        holder[key] = _any_value(draw)
    elif what == 1 and isinstance(holder, dict):
        holder[draw.choice(_words())] = draw.choice(([], {}, None, _any_value(draw), holder[key]))
    elif what == 2 and isinstance(holder, list):
        holder.extend([holder[key]] * draw.choice((1, 3, 30)))
    elif what == 3:
        other, place = draw.choice(_slots(draw.choice(_trees())))
        holder[key] = other[place]
    elif what == 4:
        holder[key] = {draw.choice(_words()): holder[key]} if draw.random() < 0.5 else [holder[key], holder[key]]
    elif isinstance(holder, dict) and len(holder) > 1:
        del holder[key]
    if not _slots(tree):
        tree["title"] = "x"


def _any_value(draw: random.Random) -> Any:
    return draw.choice(
        [0, -1, 1, 10**6, 2**31, 2**63, 10**300, 0.5, -0.0, 1e308, True, None, [], {}, *_words()[:20], _nasty(draw)]
    )


# -- bytes ---------------------------------------------------------------------------------------------------------


def _encoded(draw: random.Random, text: str) -> bytes:
    chance = draw.random()
    if chance < 0.04:
        return text.encode(draw.choice(("utf-16", "utf-32", "latin-1", "utf-8-sig")), "replace")
    data = text.encode("utf-8", "surrogatepass")
    if chance < 0.08:
        place = draw.randint(0, len(data))
        return data[:place] + bytes([draw.randrange(256)]) + data[place + draw.randint(0, 1) :]
    return data.replace(b"\n", b"\r\n") if chance < 0.1 else data
