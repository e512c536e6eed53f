"""The site's links lead to the same place as those of the repository's own pages, and its pages are well formed."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
REPOSITORY = "https://example.org/owner/project"
OWN_REPOSITORY = "https://github.com/rdzv-harness/rdzv-harness"


def site_module(name: str) -> ModuleType:
    """A module of `docs/site`, which is no package: MkDocs loads it by its path."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / "site" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


LINKS = site_module("links")
COMMAND_LINE = site_module("command_line")
PAGES = [ROOT / name for name in LINKS.PAGES] + sorted((ROOT / "docs").rglob("*.md"))


@pytest.mark.parametrize(
    ("file", "link", "on_the_site"),
    [
        ("README.md", "docs/tutorial.md#break-it", "tutorial.md#break-it"),
        ("README.md", "docs/images/hang.png", "images/hang.png"),
        ("README.md", f"{REPOSITORY}/blob/main/docs/format.md#names", "format.md#names"),
        ("README.md", f"{REPOSITORY}/raw/main/docs/images/hang.png", "images/hang.png"),
        (
            "docs/reference/python.md",
            "../../CONTRIBUTING.md#lock-files-and-pins",
            "../contributing.md#lock-files-and-pins",
        ),
        ("docs/tutorial.md", "../README.md", "index.md"),
        ("docs/tutorial.md", "../LICENSE", f"{REPOSITORY}/blob/main/LICENSE"),
        ("docs/tutorial.md", "../scenarios/wire", f"{REPOSITORY}/tree/main/scenarios/wire"),
        ("docker/README.md", "compose.yaml", f"{REPOSITORY}/blob/main/docker/compose.yaml"),
        ("docs/tutorial.md", "#break-it", "#break-it"),
        ("docs/tutorial.md", "https://example.com/x", "https://example.com/x"),
    ],
)
def test_a_link_leads_to_the_same_place(file: str, link: str, on_the_site: str) -> None:
    """To the site's page of a file where it has one, else to the repository."""
    for before, after in (("[text](", ")"), ("[`code`](", ' "title")'), ('<img src="', '">')):
        assert LINKS.for_site(f"a {before}{link}{after} b", file, REPOSITORY) == f"a {before}{on_the_site}{after} b"


@pytest.mark.parametrize("link", ["nowhere.md", "../nowhere.py", "../../outside.md"])
def test_a_link_to_nothing_stays_and_so_is_refused(link: str) -> None:
    """The strict build refuses a link that is not among its pages; an address would pass."""
    assert not (ROOT / "docs" / link).exists()
    rewritten = LINKS.for_site(f"[x]({link})", "docs/tutorial.md", REPOSITORY)
    assert "://" not in rewritten


def test_code_stays_as_it_is() -> None:
    """What only looks like a link, in a line or in a block, is not changed."""
    text = "`[x](../LICENSE)` and\n\n```md\n[x](../LICENSE)\n```\n"
    assert LINKS.for_site(text, "docs/tutorial.md", REPOSITORY) == text


def test_the_command_lines_lists_have_whole_sentences() -> None:
    """Typer cuts them short; commands of a group may have the name of another command."""
    page = COMMAND_LINE.tidied(
        "# `rdzv-harness`\n\nAll.\n\n**Commands**:\n\n* `show`: Print one run as...\n* `findings`: What was...\n\n"
        "## `rdzv-harness show`\n\nPrint one run as a time line.\n\n"
        "**Usage**:\n\n```console\n$ rdzv-harness show\n```\n\n"
        "**Options**:\n\n* `--help`: Show this message and exit.\n\n"
        "## `rdzv-harness findings`\n\nWhat was found.\n\n**Commands**:\n\n* `show`: Print one...\n\n"
        "### `rdzv-harness findings show`\n\nPrint one finding.\n".replace("\\n", "\n")
    )
    assert "* [`show`](#rdzv-harness-show): Print one run as a time line.\n" in page
    assert "* [`show`](#rdzv-harness-findings-show): Print one finding.\n" in page
    assert "--help" not in page
    assert "$ " not in page


def lines_that_render_differently(text: str) -> Iterator[int]:
    """Lists that begin without a blank line, or are not indented by four spaces: MkDocs makes paragraphs of them."""
    before, in_list = "", False
    for number, line in enumerate(text.splitlines(), 1):
        item = re.match(r"( *)([-*]|\d+\.) ", line)
        is_inner = line.startswith("    ")  # of the list, also behind a blank line; else it is code
        if item and not (is_inner and not in_list):
            begins_or_goes_out = not in_list or (before.startswith("    ") and not is_inner)
            if (begins_or_goes_out and before.strip()) or len(item[1]) % 4:
                yield number
            in_list = True
        in_list = in_list and (is_inner or not line.strip() or bool(item) or bool(before.strip()))
        before = line


def prose(path: Path) -> str:
    """A page without its blocks of code, line for line."""
    text = path.read_text(encoding="utf-8")
    return re.sub(r"^ *(```+)[^\n]*\n.*?^ *\1 *$", lambda block: "\n" * block[0].count("\n"), text, flags=re.M | re.S)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_lists_look_alike_in_the_repository_and_on_the_site(path: Path) -> None:
    """Each begins behind a blank line, and a list within a list is indented by four spaces."""
    lines = prose(path).splitlines()
    assert [lines[number - 1] for number in lines_that_render_differently(prose(path))] == []


@pytest.mark.parametrize("text", ["A\n- b\n", "- a\n  - b\n", "1. a\n   - b\n", "1. a\n    - b\n2. c\n"])
def test_a_list_that_looks_different_is_noticed(text: str) -> None:
    """No blank line before it, two or three spaces, or an item directly behind those of an inner list."""
    assert list(lines_that_render_differently(text))


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_addresses_are_well_formed(path: Path) -> None:
    """With https, a host and no stray bracket; whether they answer is not tried, since tests have no network."""
    found = re.findall(r"\]\((\w+://[^)\s]*)\)|<(\w+://[^>\s]*)>", prose(path))
    addresses = ["".join(pair) for pair in found]
    good = re.compile(r"https://[a-z0-9-]+(\.[a-z0-9-]+)+(:\d+)?(/[\w./~%@:+,;=&?!$'*()-]*)?(#[\w./:=-]+)?")
    assert [address for address in addresses if not good.fullmatch(address) or "//" in address[8:]] == []


def test_every_page_has_its_place_on_the_site() -> None:
    """A page without one is found by search only, and the strict build refuses it."""
    nav = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:\n")[2]
    placed = re.findall(r": ([\w/-]+\.md)$", nav, re.MULTILINE)
    pages = {LINKS.site_path(path.relative_to(ROOT).as_posix()) for path in PAGES} | {"reference/cli.md"}
    assert sorted(placed) == sorted(pages)


def anchors(page: Path) -> set[str]:
    """Where links to a page may lead, as GitHub names its headings; the strict build checks the site's names."""
    counts: dict[str, int] = {}
    found = set(re.findall(r'<a (?:id|name)="([^"]+)"', prose(page)))
    for heading in re.findall(r"^#+ +(.*?) *$", prose(page), re.MULTILINE):
        text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading.replace("`", ""))
        slug = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
        seen = counts[slug] = counts.get(slug, -1) + 1
        found.add(f"{slug}-{seen}" if seen else slug)
    return found


def broken_links(page: Path, text: str) -> Iterator[str]:
    """Links of a page to files that are not there, and to headings that the other page does not have."""
    spoken = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "code", text, flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)(?: \"[^\"]*\")?\)", spoken):
        path, _, anchor = target.replace(f"{OWN_REPOSITORY}/blob/main/", "/").partition("#")
        if re.match(r"[a-z]+:", path):
            continue
        other = ROOT / path.lstrip("/") if path.startswith("/") else page.parent / path if path else page
        if not other.exists() or (anchor and other.suffix == ".md" and anchor not in anchors(other)):
            yield target


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    """In the repository, where pages are read too: to a file that is there, and to a heading that it has."""
    assert list(broken_links(path, prose(path))) == []


@pytest.mark.parametrize(
    "link", ["nowhere.md", "tutorial.md#nowhere", "#nowhere", "../nowhere", f"{OWN_REPOSITORY}/blob/main/nowhere.md"]
)
def test_a_link_to_nothing_is_noticed(link: str) -> None:
    """A file, a heading of another page, a heading of its own page, an address of the project's own repository."""
    page = ROOT / "docs" / "architecture.md"
    assert list(broken_links(page, f"See [this]({link}) and [that](tutorial.md#break-it).")) == [link]
