"""The page on the architecture describes the tree that is there."""

from __future__ import annotations

import re
from pathlib import Path

from floors import FLOORS, ROOT, modules

PAGE = ROOT / "docs" / "architecture.md"
TEXT = PAGE.read_text(encoding="utf-8")
TREE = TEXT.partition("```text\nharness/\n")[2].partition("```")[0]
PLACEHOLDERS = ("KIND", "GROUP", "FOLDER")


def rooms_of_the_tree(tree: str) -> dict[str, str]:
    """Path from the root, and description, of every line; the indentation tells the folder."""
    rooms: dict[str, str] = {}
    folders: list[str] = ["harness"]
    for line in tree.splitlines():
        name, _, description = line.strip().partition(" ")
        depth = (len(line) - len(line.lstrip())) // 2
        path = "/".join([*folders[:depth], name.rstrip("/")])
        folders[depth:] = [name.rstrip("/")]
        rooms[path] = description.strip()
    return rooms


def missing_rooms(tree: str) -> list[str]:
    """Folders and modules at the top of the package that a tree does not name."""
    named = rooms_of_the_tree(tree)
    tops = {module.name.split(".")[0] for module in modules() if module.name}
    return sorted(top for top in tops if f"harness/{top}" not in named and f"harness/{top}.py" not in named)


def paths_that_are_missing(text: str) -> list[str]:
    """Paths in backquotes, and pages in links, that are not there; a placeholder counts by its folder."""
    named = re.findall(r"`((?:harness|tests|scenarios|docs)/[\w/.-]*)`", text)
    found = [ROOT / _without_placeholder(name) for name in named]
    found += [PAGE.parent / link for link in re.findall(r"\]\(([\w./-]+)\)", text)]
    return [str(path.relative_to(ROOT)) for path in found if not path.exists()]


def _without_placeholder(name: str) -> str:
    parts = name.split("/")
    kept = [part for part in parts if Path(part).stem not in PLACEHOLDERS]
    return "/".join(kept)


def test_every_room_has_its_line_in_the_tree() -> None:
    """A folder or a module at the top of the package that the page does not name is overlooked by readers."""
    assert missing_rooms(TREE) == []


def test_every_line_of_the_tree_is_a_room_and_says_what_it_is_for() -> None:
    """A line for a room that has moved leads nowhere."""
    rooms = rooms_of_the_tree(TREE)
    assert rooms
    assert [path for path in rooms if not (ROOT / path).exists()] == []
    assert [path for path, description in rooms.items() if not description] == []


def test_every_path_that_the_page_names_exists() -> None:
    """Paths in backquotes and pages in links; where a new file goes, its folder exists."""
    assert paths_that_are_missing(TEXT) == []


def test_the_table_of_floors_is_that_of_the_rules() -> None:
    """`tests/floors.py` has the floors, and the page repeats them for readers, in the same order."""
    rows = re.findall(r"^\| (\d) \| (.*) \|$", TEXT, re.MULTILINE)
    assert [int(floor) for floor, _ in rows] == list(range(len(FLOORS)))
    assert [tuple(re.findall(r"`(\w+)`", re.sub(r"\(.*?\)", "", rooms))) for _, rooms in rows] == list(FLOORS)


def test_a_room_without_a_line_and_a_path_that_is_not_there_are_found() -> None:
    """The search sees what it is for: a lost line, a lost file, a lost page, and nested folders."""
    lines = [line for line in TREE.splitlines(keepends=True) if not line.startswith("  judge/")]
    assert missing_rooms("".join(lines)) == ["judge"]
    assert paths_that_are_missing("`harness/nowhere.py`, `harness/faults/KIND.py`, `harness/none/KIND.py`") == [
        "harness/nowhere.py",
        "harness/none",
    ]
    assert paths_that_are_missing("[a page](nowhere.md), [another](tutorial.md)") == ["docs/nowhere.md"]
    assert rooms_of_the_tree("  a/   one\n    b.py  two\n  c.py three\n") == {
        "harness/a": "one",
        "harness/a/b.py": "two",
        "harness/c.py": "three",
    }
