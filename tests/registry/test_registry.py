"""The registry of a family: its own members, those of entry points, and why a member cannot be used."""

from __future__ import annotations

import importlib
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from packages import install

from harness.registry import OURS, Origin, Registry
from harness.values.attribute import Declaration
from harness.values.errors import UsageError

GROUP = "rdzv_harness_test.tools"


class Tool(ABC):
    """The contract of a family that exists for these tests."""

    declaration: ClassVar[Declaration]
    size: ClassVar[int]

    @abstractmethod
    def use(self) -> None: ...


TOOLS: Registry[type[Tool]] = Registry("tool", "harness")
"""Each test puts a registry of its own here; what a test's package registers goes there."""

MEMBER = """
import test_registry
from harness.values.attribute import Attribute, Declaration

@test_registry.TOOLS.register("{kind}")
class Member(test_registry.Tool):
    declaration = Declaration("{kind}", "Is a tool.")
    size = 1
    def use(self): pass
"""


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Registry[type[Tool]]]]:
    """Installs a package, and gives a registry whose own members are the module `hammer` alone."""
    site = tmp_path / "site"
    (site / "own_tools").mkdir(parents=True)
    (site / "own_tools" / "__init__.py").touch()
    (site / "own_tools" / "hammer.py").write_text(MEMBER.format(kind="hammer"))
    monkeypatch.syspath_prepend(site)
    monkeypatch.setitem(sys.modules, "test_registry", sys.modules[__name__])
    before = set(sys.modules)

    def tools(modules: dict[str, str], **entries: str) -> Registry[type[Tool]]:
        install(site, "shed", modules, {GROUP: entries})
        importlib.invalidate_caches()
        monkeypatch.setattr(sys.modules[__name__], "TOOLS", Registry("tool", "own_tools", GROUP, Tool))
        return TOOLS

    yield tools
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_nothing_is_imported_before_somebody_asks(tools: Callable[..., Registry[type[Tool]]]) -> None:
    """Own modules and those of entry points come with the first question, and once."""
    registry = tools({"saw": MEMBER.format(kind="saw")}, saw="saw")
    assert not {"saw", "own_tools.hammer"} & set(sys.modules)
    assert (list(registry), registry.not_loaded) == (["hammer", "saw"], [])
    assert (registry.origin("hammer"), registry.origin("saw")) == (OURS, Origin("shed 1.0", "saw"))
    assert registry["saw"] is registry["saw"]


def test_an_entry_point_may_name_the_class_itself(tools: Callable[..., Registry[type[Tool]]]) -> None:
    """Registered by the decorator or not."""
    plain = MEMBER.format(kind="file").replace("@", "# ")
    registry = tools({"saw": MEMBER.format(kind="saw"), "plain": plain}, saw="saw:Member", file="plain:Member")
    assert (list(registry), registry.not_loaded) == (["file", "hammer", "saw"], [])


WORKING = MEMBER.format(kind="saw")


@pytest.mark.parametrize(
    ("kind", "source", "value", "because"),
    [
        ("rasp", "import no_such_module", "rasp", "could not be imported: ModuleNotFoundError: No module named"),
        ("rasp", "raise SystemExit", "rasp", "could not be imported: SystemExit"),
        ("rasp", "def f(:", "rasp", "could not be imported: SyntaxError"),
        ("rasp", "", "rasp:Rasp", "could not be imported: AttributeError"),
        ("rasp", "", "rasp", "is not used: rasp registers no tool of that name"),
        ("rasp", "Rasp = 5", "rasp:Rasp", "is not used: rasp:Rasp registers no tool of that name"),
        ("rasp", MEMBER.format(kind="rasp") + "\n1 / 0", "rasp", "could not be imported: ZeroDivisionError"),
        ("hammer", MEMBER.format(kind="hammer"), "rasp", "is not used: harness has a tool of that name"),
        ("rasp", MEMBER.format(kind="hammer"), "rasp", "could not be imported: ValueError: two tools"),
        ("rasp", MEMBER.format(kind="file"), "rasp:Member", "is not used: it declares itself as 'file'"),
        (
            "rasp",
            MEMBER.format(kind="rasp").replace('tool."', 'tool.", (Attribute("teeth", "count", ""),)'),
            "rasp",
            "is not used: there is no such kind of attribute: teeth (count)",
        ),
        ("rasp", MEMBER.format(kind="rasp").replace("size", "_"), "rasp", "is not used: it does not define size"),
        ("rasp", MEMBER.format(kind="rasp").replace("def use", "def _"), "rasp", "it does not define use"),
        ("rasp", MEMBER.format(kind="rasp").replace("(test_registry.Tool)", ""), "rasp", "it is no Tool"),
    ],
)
def test_a_member_that_cannot_be_used_is_named_and_the_others_work(
    tools: Callable[..., Registry[type[Tool]]], kind: str, source: str, value: str, because: str
) -> None:
    """With its package, what is wrong, and what to do; nothing of it is left among the members."""
    registry = tools({"saw": WORKING, "rasp": source}, saw="saw", **{kind: value})
    assert list(registry) == ["hammer", "saw"]
    (problem,) = registry.not_loaded
    assert str(problem).startswith(f"the tool {kind!r} of shed 1.0 {'' if because.startswith('it') else because}")
    assert because in str(problem)
    assert str(problem).endswith("; update or uninstall shed")


def test_two_packages_may_not_give_the_same_kind(tools: Callable[..., Registry[type[Tool]]], tmp_path: Path) -> None:
    """The first by name is used, and the other is told which one has the kind."""
    install(tmp_path / "site", "attic", {"attic_saw": MEMBER.format(kind="saw")}, {GROUP: {"saw": "attic_saw"}})
    registry = tools({"saw": WORKING}, saw="saw")
    assert registry.origin("saw").package == "attic 1.0"
    assert [str(problem) for problem in registry.not_loaded] == [
        "the tool 'saw' of shed 1.0 is not used: attic 1.0 has a tool of that name; update or uninstall shed"
    ]


def test_a_package_that_is_imported_early_takes_no_kind_of_ours(tools: Callable[..., Registry[type[Tool]]]) -> None:
    """Its decorator fails, as it would if the registry had imported it."""
    registry = tools({"early": MEMBER.format(kind="hammer")})
    with pytest.raises(ValueError, match="two tools are called 'hammer'"):
        importlib.import_module("early")
    assert registry["hammer"].__module__ == "own_tools.hammer"


def test_several_members_may_share_a_module(tools: Callable[..., Registry[type[Tool]]]) -> None:
    """The import of one registers the others, and each has its entry point; also where it was imported before."""
    registry = tools({"both": MEMBER.format(kind="saw") + MEMBER.format(kind="file")}, saw="both", file="both")
    importlib.import_module("both")
    assert (list(registry), registry.not_loaded) == (["file", "hammer", "saw"], [])
    assert registry.origin("file") == registry.origin("saw") == Origin("shed 1.0", "both")


def test_an_unknown_kind_is_answered_with_the_nearest_or_with_what_is_wrong(
    tools: Callable[..., Registry[type[Tool]]],
) -> None:
    """Kinds of other packages are near misses too."""
    registry = tools({"saw": WORKING, "rasp": "import no_such_module"}, saw="saw", rasp="rasp")
    for kind, message in (
        ("sav", "there is no tool 'sav'; did you mean 'saw'?"),
        ("zzz", "there is no tool 'zzz'; known: hammer, saw"),
        ("rasp", "the tool 'rasp' of shed 1.0 could not be imported: ModuleNotFoundError"),
    ):
        with pytest.raises(UsageError) as refused:
            registry[kind]
        assert message in str(refused.value)


def test_a_defect_of_our_own_members_is_not_hidden(tools: Callable[..., Any], tmp_path: Path) -> None:
    """Only members of other packages may fail to import."""
    registry = tools({})
    (tmp_path / "site" / "own_tools" / "rasp.py").write_text("import no_such_module")
    with pytest.raises(ModuleNotFoundError):
        list(registry)
