"""`pytest builtin:timeouts`: the scenarios that ship with the harness as arguments of pytest."""

from __future__ import annotations

import pytest
from fake_controllers import FakeControllers, joined
from plugin_sessions import session

from harness.loader import builtin
from harness.pytest_plugin import arguments
from harness.scenario.builtin import PREFIX

pytest_plugins = ["pytester"]


FIRST = builtin.names("builtin:timeouts")[0]
FILE = builtin.file_of(FIRST)


def files(folder: str) -> list[str]:
    return sorted(str(path) for path in (builtin.FOLDER / folder).rglob("*.rdzv.yaml"))


@pytest.mark.parametrize("folder", ["timeouts", ""], ids=["a folder", "all"])
def test_a_name_means_its_files_in_place_of_itself(folder: str) -> None:
    """Other arguments stay where they are."""
    found = arguments.with_files(["first", arguments.PREFIX + folder, "last::test_x"])
    assert (found.words[0], found.words[-1]) == ("first", "last::test_x")
    assert sorted(found.words[1:-1]) == files(folder)
    assert found.names[FILE] == FIRST


def test_an_item_stays_with_its_file() -> None:
    """As pytest prints it, also if what its cell says has colons."""
    assert arguments.with_files([f"{FIRST}::x[host=a::b]"]).words == [f"{FILE}::x[host=a::b]"]


def test_without_a_built_in_name_the_arguments_are_as_they_were() -> None:
    """A file whose name only has the word in it is none."""
    assert arguments.with_files(["tests", "x/builtin:timeouts"]) == arguments.Arguments(["tests", "x/builtin:timeouts"])


def test_the_prefix_is_that_of_the_command_line() -> None:
    """It is written twice, so that the plug-in imports nothing where it is not used."""
    assert arguments.PREFIX == PREFIX


def test_the_id_of_an_item_is_the_name_and_can_be_typed_again(
    pytester: pytest.Pytester, controllers: FakeControllers
) -> None:
    """In a folder that has no scenarios; so is what plays a red one again with the command."""
    listed = session(pytester, "--collect-only", "-q", "builtin:timeouts")
    ids = [line for line in listed.outlines if "::" in line]
    assert {one.partition("::")[0] for one in ids} == set(map(str, builtin.names("builtin:timeouts")))
    controllers.play(lambda scenario: joined(scenario, "failed"))
    (late,) = [one for one in ids if "::everybody-joins-in-time[size=2]" in one]
    result = session(pytester, late)
    result.assert_outcomes(failed=1)
    assert any(line.startswith(f"FAILED {late}") for line in result.outlines)
    result.stdout.re_match_lines([r"  again +rdzv-harness run builtin:timeouts/everybody-joins-in-time .*"])


def test_unknown_names_are_one_usage_error(pytester: pytest.Pytester) -> None:
    """All of them at once, with what they may have meant; nothing is collected."""
    result = session(pytester, "builtin:timeots", "builtin:latency", "builtin:qqqqq::x")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        [
            "ERROR: builtin:timeots: no built-in scenario or folder of that name; did you mean builtin:timeouts[?]*",
            "*builtin:qqqqq: no built-in scenario or folder of that name; the folders are *",
        ]
    )
    result.stdout.no_fnmatch_line("*collected*")


@pytest.mark.nightly
def test_workers_of_xdist_collect_them_too(pytester: pytest.Pytester) -> None:
    """They get the arguments as they were typed; what no scenario has here is said once."""
    result = session(pytester, "-n", "1", "--rdzv-python", "/bin/false", str(FIRST))
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: /bin/false is not a Python that works *"])
