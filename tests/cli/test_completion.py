"""Completion in shells: the candidates, the scripts, and how little it says and imports."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness.archive import META
from harness.cli import completing, known_values, main, stored_runs
from harness.cli.known_values import COMPLETION

Patch = pytest.MonkeyPatch
Captured = pytest.CaptureFixture[str]
WITHIN_S = 60.0


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: Patch) -> Path:
    """A working folder with scenario files, stored runs and findings."""
    for name in ("mine/a.rdzv.yaml", "mine/notes.txt", "one.rdzv.yaml", "odd name.rdzv.yaml", ".hidden/c.rdzv.yaml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    for name in ("20260101-120000-000-late", "20260102-120000-000-early"):
        (tmp_path / ".rdzv/runs" / name).mkdir(parents=True)
        (tmp_path / ".rdzv/runs" / name / META).touch()
    (tmp_path / "elsewhere/20260103-120000-000-moved").mkdir(parents=True)
    (tmp_path / ".rdzv/findings/f00d").mkdir(parents=True)
    (tmp_path / ".rdzv/findings/unreproduced/beef").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def complete(folder: Path, monkeypatch: Patch, capsys: Captured) -> Iterator[object]:
    """A function that asks as the script of a shell does, and returns what is printed."""

    def ask(line: str, shell: str = "bash", breaks: str = "\"'><=;|&(:") -> list[str]:
        monkeypatch.setenv(COMPLETION, f"complete_{shell}")
        monkeypatch.setenv("_TYPER_COMPLETE_ARGS", line)
        monkeypatch.setenv("_TYPER_COMPLETE_FISH_ACTION", "get-args")
        monkeypatch.setenv("COMP_WORDBREAKS", breaks)
        main()
        said = capsys.readouterr()
        assert said.err == ""
        return said.out.split("\n")[:-1] if said.out.strip() else []

    return ask


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("rdzv-harness ru", ["run"]),
        ("rdzv-harness findings ", ["list", "show", "promote"]),
        ("rdzv-harness run --last", ["--last-failed"]),
        ("rdzv-harness run --subject stat", ["static", "static-strict"]),
        ("rdzv-harness run --world=name", ["namespaces"]),
        ("rdzv-harness run x --world ", ["containers", "namespaces", "processes"]),
        ("rdzv-harness run --report ht", ["html="]),
        ("rdzv-harness run --require wor", ["world", "world.torchrun"]),
        ("rdzv-harness run --isolation ", ["auto", "private", "host"]),
        ("rdzv-harness run --toxiproxy e", ["embedded"]),
        ("rdzv-harness run m", ["mine/"]),
        ("rdzv-harness run o", ["one.rdzv.yaml"]),
        ("rdzv-harness run mine/", ["mine/a.rdzv.yaml"]),
        ("rdzv-harness run .h", [".hidden/"]),
        ("rdzv-harness validate one.rdzv.yaml mine/", ["mine/a.rdzv.yaml"]),
        ("rdzv-harness run odd", []),
        ("rdzv-harness explain blackh", ["blackhole"]),
        ("rdzv-harness explain F02", ["F02"]),
        ("rdzv-harness explain vac", ["vacuous"]),
        ("rdzv-harness list fau", ["faults"]),
        ("rdzv-harness show ", ["latest", "20260101-120000-000-late", "20260102-120000-000-early"]),
        ("rdzv-harness show --runs-dir elsewhere 2", ["20260103-120000-000-moved"]),
        ("rdzv-harness judge latest 20260102", ["20260102-120000-000-early"]),
        ("rdzv-harness show --format p", ["perfetto"]),
        ("rdzv-harness findings show ", ["f00d", "beef"]),
        ("rdzv-harness explore --lane sys", ["systematic"]),
        ("rdzv-harness explore --replay f", ["f00d"]),
        ("rdzv-harness reproduce f00", ["f00d"]),
        ("rdzv-harness doctor --require tor", ["torch"]),
        ("rdzv-harness completion ", ["bash", "zsh", "fish"]),
        ("rdzv-harness compare ", []),
        ("rdzv-harness run one.rdzv.yaml --subject command -- run", []),
    ],
)
def test_what_may_stand_next_is_offered(line: str, found: list[str], complete) -> None:  # type: ignore[no-untyped-def]
    """Commands, options, and the values that the tool knows; nothing where it knows none, so that files are offered."""
    assert complete(line) == found


def test_bash_gets_what_stands_behind_a_colon(complete) -> None:  # type: ignore[no-untyped-def]
    """Where bash begins another word, and the whole of it where it begins none."""
    (name,) = complete("rdzv-harness run builtin:timeouts/a-late-worker-is")
    assert name == "timeouts/a-late-worker-is-waited-for"
    assert complete("rdzv-harness run builtin:timeouts/a-late-worker-is", breaks=" ") == [f"builtin:{name}"]
    assert complete("rdzv-harness new x --from builtin:timeouts/a-late-worker-is") == [name]
    assert complete("rdzv-harness run --report=ht") == ["html="]
    assert complete("rdzv-harness run --report=ht", breaks=" ") == ["--report=html="]


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_get_whole_words(shell: str, complete) -> None:  # type: ignore[no-untyped-def]
    """With what they mean where that is known."""
    said = "\n".join(complete("rdzv-harness run builtin:timeouts/a-late-worker-is", shell))
    assert "timeouts/a-late-worker-is-waited-for" in said
    assert "Play scenarios and judge them" in "\n".join(complete("rdzv-harness ru", shell))


def test_a_name_that_a_shell_would_read_as_more_is_not_offered(folder: Path, complete) -> None:  # type: ignore[no-untyped-def]
    """The answer to zsh is run as a command, so no name that others chose may be one."""
    (folder / "x$(touch gone).rdzv.yaml").touch()
    (folder / "x`id`;.rdzv.yaml").touch()
    for shell in ("bash", "zsh", "fish"):
        assert "touch" not in (said := "\n".join(complete("rdzv-harness run x", shell)))
        assert "id" not in said


def test_folders_of_a_pyproject_are_searched(folder: Path, complete) -> None:  # type: ignore[no-untyped-def]
    """Stored runs are offered from where the command would look for them."""
    (folder / "pyproject.toml").write_text('[tool.rdzv-harness]\nruns-dir = "elsewhere"\n', encoding="utf-8")
    assert complete("rdzv-harness show ") == ["latest", "20260103-120000-000-moved"]
    assert complete("rdzv-harness --no-config show 20260101") == ["20260101-120000-000-late"]


@pytest.mark.parametrize(
    "line",
    [
        "",
        "rdzv-harness nonsense --wor",
        "rdzv-harness run --nosuch 3 --jobs many --wor",
        "rdzv-harness run 'never closed",
        "rdzv-harness run no/such/folder/",
        "rdzv-harness show --runs-dir /dev/null ",
        "rdzv-harness run --jobs",
    ],
)
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completing_never_complains(line: str, shell: str, folder: Path, complete) -> None:  # type: ignore[no-untyped-def]
    """Also where no command would run: on standard error it would stand in the line that somebody types."""
    (folder / "pyproject.toml").write_text("[tool.rdzv-harness]\njobs = 'many'\n", encoding="utf-8")
    complete(line, shell)


@pytest.mark.parametrize(("line", "code"), [("rdzv-harness ru", 0), ("rdzv-harness compare ", 1)])
def test_fish_learns_from_the_exit_code_whether_there_is_anything(line: str, code: int, monkeypatch: Patch) -> None:
    """The library leaves by SystemExit, which was taken for a reader that has gone."""
    monkeypatch.setenv(COMPLETION, "complete_fish")
    monkeypatch.setenv("_TYPER_COMPLETE_ARGS", line)
    monkeypatch.setenv("_TYPER_COMPLETE_FISH_ACTION", "is-args")
    assert main() == code


def test_completing_imports_little_and_says_nothing_to_a_reader_that_has_gone() -> None:
    """Somebody waits for it: no member of a family, no reader of YAML, no terminal library is imported."""
    program = (
        "import sys, os; from harness.cli import main; code = main()\n"
        "slow = ('ruamel', 'rich', 'psutil', 'jinja2', 'requests', 'docker', 'harness.faults', 'harness.archive')\n"
        "found = [name for name in slow if name in sys.modules]\n"
        "os.write(2, repr(found).encode()) if found else None\nsys.exit(code)"
    )
    for line in ("rdzv-harness explain bl", "rdzv-harness run builtin:", "rdzv-harness show "):
        environment = {**os.environ, COMPLETION: "complete_bash", "_TYPER_COMPLETE_ARGS": line, "COMP_WORDBREAKS": ":"}
        reading, writing = os.pipe()
        os.close(reading)
        with os.fdopen(writing, "w") as lost:
            gone = line.endswith("bl")
            done = subprocess.run(
                [sys.executable, "-c", program],
                env=environment,
                stdout=lost if gone else subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                timeout=WITHIN_S,
            )
        assert done.stderr == b""


def test_what_is_offered_is_what_the_slow_modules_know(folder: Path) -> None:
    """Kinds, words and names are found here in a quicker way than where they are defined."""
    from harness.cli.looking import FORMS
    from harness.explore.draft import LANES
    from harness.explore.finding import UNREPRODUCED
    from harness.explore.findings import Findings
    from harness.loader.keys.members import catalogue
    from harness.play.options import AUTO, EMBEDDED, REAL, SUBJECTS
    from harness.reference.failures import failures
    from harness.reference.glossary import terms

    members = {family: sorted(it.kind for it in found) for family, found in catalogue().items()}
    assert {family: sorted(known_values.kinds(family)) for family in members} == members
    assert set(known_values.families()) == {f"{it}s" for it in (*members, "scenario", "failure", "word")}
    assert set(known_values.words()) == {
        *(kind for found in members.values() for kind in found),
        *failures(),
        *(term.name.replace(" ", "-") for term in terms()),
    }
    assert set(SUBJECTS) <= set(known_values.subjects())
    assert known_values.SUBJECTS == SUBJECTS
    assert known_values.LANES == LANES
    assert known_values.FORMS == FORMS
    assert tuple(completing.SHELLS) == known_values.SHELLS
    assert known_values.SERVERS == (AUTO, EMBEDDED, REAL)
    assert [*Findings().names(), *Findings(Path(".rdzv/findings") / UNREPRODUCED).names()] == ["f00d", "beef"]
    assert stored_runs.names(Path(".rdzv/runs")) == ["20260101-120000-000-late", "20260102-120000-000-early"]


def test_another_shell_is_an_error_of_usage(capsys: Captured) -> None:
    """With what there is."""
    assert main(["completion", "zhs"]) == 2
    assert "did you mean zsh?" in capsys.readouterr().err


# -- real shells -------------------------------------------------------------------------------------------------------


def script(shell: str, folder: Path) -> Path:
    """The script that `completion` prints, as a file."""
    path = folder / f"completion.{shell}"
    with open(path, "w", encoding="utf-8") as file:
        program = "import sys; from harness.cli import main; sys.exit(main())"
        subprocess.run([sys.executable, "-c", program, "completion", shell], stdout=file, check=True, timeout=WITHIN_S)
    return path


@pytest.fixture
def path_with_program(tmp_path_factory: pytest.TempPathFactory) -> str:
    """PATH with `rdzv-harness` in front, as an installed package has it."""
    folder = tmp_path_factory.mktemp("programs")
    program = folder / "rdzv-harness"
    program.write_text(f"#!{sys.executable}\nimport sys\nfrom harness.cli import main\nsys.exit(main())\n")
    program.chmod(0o755)
    return os.pathsep.join([str(folder), os.environ["PATH"]])


@contextmanager
def terminal(words: list[str], environment: dict[str, str]) -> Iterator[int]:
    """A program at a terminal of its own; the descriptor on which somebody types and reads."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        words, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True, close_fds=True
    )
    os.close(theirs)
    try:
        yield ours
    finally:
        os.close(ours)
        process.kill()
        process.wait(WITHIN_S)


def read_until(descriptor: int, wanted: str) -> str:
    """What is shown, up to a text that must come."""
    shown, deadline = "", time.monotonic() + WITHIN_S
    while wanted not in shown:
        assert select.select([descriptor], [], [], max(0, deadline - time.monotonic()))[0], shown
        shown += os.read(descriptor, 4096).decode(errors="replace")
    return shown


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_bash_completes_with_the_printed_script(folder: Path, path_with_program: str) -> None:
    """At a real terminal: Tab completes an option, its value, and a name with a colon; a lone `=` gets no space."""
    environment = {**os.environ, "PATH": path_with_program, "PS1": "ready> ", "TERM": "dumb", "HISTFILE": ""}
    bash = ["bash", "--norc", "--noprofile", "-i"]
    with terminal(bash, environment) as keys:
        read_until(keys, "ready> ")
        os.write(keys, f"source {script('bash', folder)}\n".encode())
        read_until(keys, "ready> ")
        os.write(keys, b"rdzv-harness run builtin:timeouts/a-late-worker-is\t")
        read_until(keys, "-waited-for ")
        os.write(keys, b"--subj\t")
        read_until(keys, "--subject ")
        os.write(keys, b"ech\t")
        read_until(keys, "echo ")
        os.write(keys, b"--report ht\t")
        read_until(keys, "html=")
        os.write(keys, b"/x\x01echo done: \n")
        shown = read_until(keys, "/x\r\nready> ")
    line = re.findall(r"done: (rdzv-harness.*?)\r", shown)[-1]
    assert line == ("rdzv-harness run builtin:timeouts/a-late-worker-is-waited-for --subject echo --report html=/x")


@pytest.mark.nightly
@pytest.mark.skipif(shutil.which("fish") is None, reason="there is no fish")
def test_fish_completes_with_the_printed_script(folder: Path, path_with_program: str) -> None:
    """Its own `complete -C` says what Tab offers."""
    done = subprocess.run(
        ["fish", "--no-config", "-c", f"source {script('fish', folder)}; complete -C 'rdzv-harness run --worl'"],
        env={**os.environ, "PATH": path_with_program},
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
    )
    assert done.stdout.startswith("--world\t")


@pytest.mark.nightly
@pytest.mark.skipif(shutil.which("zsh") is None, reason="there is no zsh")
def test_zsh_gets_candidates_with_the_printed_script(folder: Path, path_with_program: str) -> None:
    """The function of the script hands them to zsh's `_arguments`."""
    commands = (
        'compdef() { :; }; _arguments() { print -r -- "$@"; }; words=(rdzv-harness run --worl); CURRENT=3; '
        f"source {script('zsh', folder)}; _rdzv_harness_completion"
    )
    done = subprocess.run(
        ["zsh", "-f", "-c", commands],
        env={**os.environ, "PATH": path_with_program},
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
    )
    assert "--world" in done.stdout
