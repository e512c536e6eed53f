"""Completion of the command line in bash, zsh and fish: the script that a shell reads, and the answers to it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import redirect_stderr
from io import StringIO
from typing import Any

import typer

# typer's own way in asks the running shell, and bash's answers there are wrong for words with a colon.
from typer import _completion_classes as library
from typer.main import get_command

from harness.cli import streams
from harness.cli.exit_codes import AS_EXPECTED, INTERRUPTED, SOME_ERROR
from harness.cli.known_values import COMPLETION
from harness.values.errors import UsageError
from harness.values.suggest import nearest

PROGRAM = "rdzv-harness"

_BASH = """\
%(complete_func)s() {
    mapfile -t COMPREPLY < <(
        env _TYPER_COMPLETE_ARGS="${COMP_LINE:0:COMP_POINT}" COMP_WORDBREAKS="$COMP_WORDBREAKS" \\
            %(autocomplete_var)s=complete_bash "$1" 2>/dev/null
    )
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[:=/] ]]; then compopt -o nospace; fi
}

complete -o default -F %(complete_func)s %(prog_name)s
"""

# Our help has no markup, and what would remove it takes longer to import than all else together.
library._sanitize_help_text = lambda text: text


class _BeforeDashes:
    """No candidates behind `--`: there begins the command of another program."""

    def get_completions(self, args: list[str], incomplete: str) -> list[Any]:
        found: list[Any] = [] if "--" in args else super().get_completions(args, incomplete)  # type: ignore[misc]
        return found


class _Zsh(_BeforeDashes, library.ZshComplete):
    pass


class _Fish(_BeforeDashes, library.FishComplete):
    pass


class _Bash(_BeforeDashes, library.ZshComplete):
    """Gets the whole line, as zsh's: bash has cut its words at colons and equals signs."""

    source_template = _BASH

    def complete(self) -> str:
        args, incomplete = self.get_completion_args()
        values = [item.value for item in self.get_completions(args, incomplete)]
        return "\n".join(behind_breaks(values, incomplete, os.environ.get("COMP_WORDBREAKS", "")))


SHELLS: dict[str, type[Any]] = {"bash": _Bash, "zsh": _Zsh, "fish": _Fish}


def script(app: typer.Typer, shell: str) -> int:
    """Print the script of a shell; raises UsageError for another shell."""
    if shell not in SHELLS:
        near = nearest(shell, SHELLS)
        raise UsageError(
            f"completion {shell}: " + (f"did you mean {near}?" if near else f"there is {', '.join(SHELLS)}")
        )
    print(_of_shell(app, shell).source().strip())
    return AS_EXPECTED


def answer(app: typer.Typer, instruction: str) -> int:
    """Print the candidates for a line that a shell completes; returns the exit code.

    Nothing goes to standard error, which is the terminal on which somebody types.

    Args:
        instruction: `complete_` and the shell; the line is in the environment, as the shell's script puts it there.
    """
    streams.prepare()
    try:
        with redirect_stderr(StringIO()):
            print(_of_shell(app, instruction.removeprefix("complete_")).complete())
        code = AS_EXPECTED
    except SystemExit as leaving:  # fish asks whether there is any candidate, and the exit code says it
        code = leaving.code if isinstance(leaving.code, int) else SOME_ERROR
    except KeyboardInterrupt:
        code = INTERRUPTED
    except Exception:  # a line that is no command, a folder that cannot be listed, a mistake in a pyproject.toml
        code = SOME_ERROR
    return code if streams.flush() is None else SOME_ERROR


def _of_shell(app: typer.Typer, shell: str) -> Any:
    return SHELLS[shell](get_command(app), {}, PROGRAM, COMPLETION)


def behind_breaks(values: Sequence[str], incomplete: str, breaks: str) -> list[str]:
    """The part of each value that bash replaces: what stands behind the last place where it begins another word.

    Args:
        incomplete: the word so far, as `builtin:ti`, or `--report=ht`, whose values begin behind the sign.
        breaks: the characters at which bash begins another word.
    """
    option = incomplete.partition("=")[0] + "=" if incomplete.startswith("--") and "=" in incomplete else ""
    start = max(incomplete.rfind(sign) + 1 if sign in breaks else 0 for sign in ":=")
    return [(value if value.startswith(incomplete) else option + value)[start:] for value in values]
