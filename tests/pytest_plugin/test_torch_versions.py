"""`--rdzv-python torch:2.9.1`: the version is installed when something is played, once, before the workers begin."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_controllers import FakeControllers
from plugin_sessions import PASSES, session
from torch_installs import FakeUv, fake_uv

pytest_plugins = ["pytester"]


@pytest.fixture
def uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeUv:
    return fake_uv(tmp_path, monkeypatch)


def test_a_version_is_installed_when_something_is_played(
    uv: FakeUv, pytester: pytest.Pytester, controllers: FakeControllers
) -> None:
    """Not when tests are only listed; the ranks run under its interpreter."""
    session(pytester, "--rdzv-python", "torch:2.9.1", "--collect-only", a=PASSES)
    assert uv.log() == []
    session(pytester, "--rdzv-python", "torch:2.9.1", a=PASSES).assert_outcomes(passed=1)
    assert uv.log().count("pip install") == 1
    (order,) = [order for controller in controllers.started for order in controller.orders]
    assert order.options.python.endswith("/2.9.1/bin/python")


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ("2.9.7", "torch 2.9.7: there is no such release; did you mean 2.9.1?*"),
        ("nine", "--rdzv-python torch:nine: torch nine: this is no version; write it as 2.9.1*"),
    ],
)
def test_a_version_that_is_none_is_one_usage_error(
    uv: FakeUv, pytester: pytest.Pytester, version: str, said: str
) -> None:
    """Said once, and nothing is played."""
    result = session(pytester, "--rdzv-python", f"torch:{version}", a=PASSES)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {said}"])
