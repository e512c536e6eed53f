"""The command line from outside: words in, text and exit code out."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from harness import __version__
from harness.cli import entry, main

ROOT = Path(__file__).parents[2]
Patch = pytest.MonkeyPatch
Captured = pytest.CaptureFixture[str]
PROGRAM = "import sys; from harness.cli import main; sys.exit(main())"


def test_the_version_is_told(capsys: Captured) -> None:
    """One line, exit code 0."""
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"rdzv-harness {__version__}\n"


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"]])
def test_help_names_every_command_and_the_exit_codes(words: list[str], capsys: Captured) -> None:
    """Without words too."""
    assert main(words) == 0
    said = capsys.readouterr().out
    for command in [
        "run",
        "validate",
        "list",
        "explain",
        "new",
        "schema",
        "judge",
        "show",
        "compare",
        "reproduce",
        "doctor",
        "toxiproxy",
        "proxy",
        "docker",
    ]:
        assert f"\n  {command} " in said
    assert "130 interrupted" in said


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["rn"], "'rn'"),
        (["run", "x", "--jobs", "0"], "--jobs"),
        (["run", "x", "--jobs", "many"], "--jobs"),
        (["run", "x", "--repeat", "0"], "--repeat"),
        (["run", "x", "--nosuch"], "--nosuch"),
        (["run", "no/such/folder"], "no/such/folder"),
        (["run", "x", "--", "true"], "--subject command"),
        (["run", "x", "--subject", "command"], "x does not exist"),
        (["list", "--", "true"], "only `run --subject command`"),
        (["show", "no/such/run"], "no/such/run"),
        (["judge", "no/such/run"], "no/such/run"),
        (["compare"], "Missing argument 'REPORT...'"),
        (["compare", "no/such/report", "no/such/other"], "no/such/report"),
        (["explain", "blackhoel"], "blackhole"),
        (["list", "toxins"], "toxins"),
        (["new", "Not A Name"], "small letters and hyphens"),
        (["new", "mine", "--job", "--from", "a-late-worker-is-waited-for"], "--example exclude each other"),
        (["new", "mine", "--job", "--example", "own_job"], "--example exclude each other"),
        (["new", "mine", "--example", "own-job"], "did you mean own_job?"),
        (["new", "mine", "--example", "x"], "there is own_job"),
        (["doctor", "--require", "luck"], "no such check"),
        (["toxiproxy"], "command"),
        (["toxiproxy", "remove"], "remove"),
        (["proxy", "serve", "--port", "70000"], "--port"),
    ],
)
def test_bad_input_is_a_message_and_exit_code_two(words: list[str], message: str, capsys: Captured) -> None:
    """On standard error, never a traceback, and it names what was wrong."""
    assert main(words) == 2
    said = capsys.readouterr()
    assert said.err.startswith("error: ")
    assert message.lower() in said.err.lower()
    assert "Traceback" not in said.err
    assert said.out == ""


def test_an_unexpected_exception_is_one_line_with_a_hint(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    """Exit code 3; the traceback on request."""

    def broken(words: list[str]) -> int:
        raise RuntimeError("oh\nno")

    monkeypatch.setattr(entry, "_dispatch", broken)
    monkeypatch.delenv("RDZV_TRACEBACK", raising=False)
    assert main(["run"]) == 3
    assert capsys.readouterr().err == (
        "error: RuntimeError: oh; this is a bug of rdzv-harness, RDZV_TRACEBACK=1 shows where\n"
    )
    monkeypatch.setenv("RDZV_TRACEBACK", "1")
    assert main(["run"]) == 3
    assert "in broken" in capsys.readouterr().err


def test_an_interrupt_before_anything_runs_is_no_traceback(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    """Ctrl-C while files are read."""

    def interrupted(words: list[str]) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(entry, "_dispatch", interrupted)
    assert main(["run"]) == 130
    assert capsys.readouterr().err == "interrupted\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_interrupts_a_command(monkeypatch: pytest.MonkeyPatch, capsys: Captured, number: int) -> None:
    """CI services send SIGTERM first, at any moment; afterwards the handler is as it was."""
    inherited = signal.getsignal(number)
    if number == signal.SIGINT:  # a shell's job in the background ignores it
        signal.signal(number, signal.default_int_handler)
    before = signal.getsignal(number)

    def terminated(words: list[str]) -> int:
        os.kill(os.getpid(), number)
        return 0

    monkeypatch.setattr(entry, "_dispatch", terminated)
    assert main(["run"]) == 130
    assert capsys.readouterr().err == "interrupted\n"
    assert signal.getsignal(number) is before
    signal.signal(number, inherited)


def test_the_exit_code_is_130_wherever_the_interrupt_comes() -> None:
    """Also inside of `exec`, which the definition of every dataclass calls: Python alone would end by a signal."""
    program = (
        "import os, signal, sys\n"
        "from harness.cli import entry, main\n"
        "entry._dispatch = lambda words: exec('os.kill(os.getpid(), signal.SIGINT); signal.pause()', globals())\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "sys.exit(main(['run']))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (130, "interrupted\n")


def test_the_words_behind_two_hyphens_are_split_off() -> None:
    """Options of the command under test are not ours."""
    assert entry.split_command(["run", "x", "--", "a", "--jobs", "--"]) == (["run", "x"], ("a", "--jobs", "--"))
    assert entry.split_command(["run", "x"]) == (["run", "x"], ())


def test_a_reader_that_goes_away_is_no_traceback() -> None:
    """`rdzv-harness ... | head -1`."""
    done = subprocess.run(
        ["bash", "-c", f'"$0" -c "{PROGRAM}" schema | true; exit ${{PIPESTATUS[0]}}', sys.executable],
        cwd=ROOT, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.stderr == ""
    assert done.returncode == 141


def test_help_imports_neither_torch_nor_what_only_commands_need() -> None:
    """So that it is quick."""
    heavy = ["torch", "docker", "ruamel.yaml", "requests", "rich.live", "harness.campaign.runner", "harness.loader"]
    program = (
        "import sys; from harness.cli import main; code = main(['run', '--help']);"
        f"print([name for name in {heavy} if name in sys.modules], file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "[]\n")


def test_a_terminal_without_unicode_gets_substitutes() -> None:
    """`PYTHONIOENCODING=ascii` keeps the signs apart; what has no substitute is a question mark."""
    signs = "\\u2713\\u2717\\u2020\\u221e\\u25cb\\u25b6\\u00df"
    program = f"import sys; from harness.cli.streams import prepare; prepare(); print('{signs}')"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT, capture_output=True, text=True, timeout=60, env={"PYTHONIOENCODING": "ascii"},
    )  # fmt: skip
    assert (done.stdout, done.returncode) == ("+xDHo>?\n", 0)


@pytest.mark.parametrize(
    "words",
    [
        ["run", "x", "--jobs", "1001"],
        ["run", "x", "--repeat", "1000001"],
        ["run", "x", "--keep", "-1"],
        ["run", "x", "--seed", "-1"],
        ["run", "x", "--seed", "9" * 5000],
        ["show", "x", "--lines", "9" * 30],
        ["proxy", "serve", "--port", "65536"],
        ["run", str(ROOT / "scenarios" / "timeouts"), "-k", "(" * 5000],
        ["run", str(ROOT / "scenarios" / "timeouts"), "-k", "not " * 5000],
        ["run", str(ROOT / "scenarios" / "timeouts"), "--toxiproxy", "http://[", "--subject", "echo"],
    ],
)
def test_a_number_outside_its_range_is_a_usage_error(words: list[str], capsys: Captured) -> None:
    """And so is an expression that is nested without end, and an invalid address."""
    assert main(words) == 2
    said = capsys.readouterr().err
    assert "bug" not in said
    assert next(word for word in words if word.startswith("-")) in said


def test_what_is_printed_of_the_command_line_moves_no_cursor(capsys: Captured) -> None:
    """Whichever word is wrong."""
    for words in (["validate", "\x1b[31m"], ["\x1b[31m"], ["explain", "\x1b[31m"], ["run", "x", "--\x1b[31m"]):
        assert main(words) == 2
        assert "\x1b" not in capsys.readouterr().err
