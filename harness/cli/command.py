"""What our commands do beyond those of the parser."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import typer
import typer.core

_BACK = re.compile(r"-[1-9][0-9]{0,6}")


class RunsCommand(typer.core.TyperCommand):
    """A command whose arguments are stored runs: `-2` is one of them, and no option."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        with_value = {word for option in self.params if not getattr(option, "is_flag", False) for word in option.opts}
        rest: list[str] = super().parse_args(ctx, list(without_numbers(args, with_value)))
        return rest


def without_numbers(words: Sequence[str], with_value: Collection[str]) -> Iterator[str]:
    """The words; `-2` as `latest~1`, unless it is the value of an option."""
    before = ""
    for word in words:
        is_value = before in with_value
        back = int(word[1:]) - 1 if _BACK.fullmatch(word) and not is_value else None
        yield word if back is None else f"latest~{back}" if back else "latest"
        before = "" if is_value else word
