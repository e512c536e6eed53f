"""Links of the repository's own pages, rewritten for the site, which has some of its files and not others."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from urllib.parse import unquote

ROOT = Path(__file__).parents[2]

PAGES: Mapping[str, str] = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "docker/README.md": "docker.md",
    "scenarios/README.md": "scenarios.md",
}
"""Files outside docs/ that are pages of the site, and where."""

# `](target)`, `](target "title")`, and `src="target"` or `href="target"` of HTML.
_LINK = re.compile(r"""(?P<before>\]\(|(?:src|href)=")(?P<target>[^\s)"]+)(?P<after>[)"]| "[^"]*"\))""")
_CODE = re.compile(r"(`+)(?!`).*?(?<!`)\1(?!`)", re.DOTALL)
_FENCE = re.compile(r" *(```+|~~~+)")


def site_path(repo_path: str) -> str | None:
    """Where the site has a file of the repository; None if it has no page for it."""
    if repo_path in PAGES:
        return PAGES[repo_path]
    return repo_path.removeprefix("docs/") if repo_path.startswith("docs/") else None


def repo_path(site_path: str) -> str:
    """The file of the repository that a page of the site is made from."""
    return {page: file for file, page in PAGES.items()}.get(site_path, f"docs/{site_path}")


def for_site(text: str, file: str, repository: str) -> str:
    """The text of a file of the repository with links that lead to the same place from its page of the site.

    A link to a file that the site does not have leads to `repository`, an address. A link to nothing stays, so that the
    strict build refuses it.
    """

    def rewritten(match: re.Match[str]) -> str:
        return match["before"] + _target(match["target"], file, repository) + match["after"]

    return outside_code(text, lambda prose: _LINK.sub(rewritten, prose))


def _target(target: str, file: str, repository: str) -> str:
    path, hash_sign, anchor = target.partition("#")
    if path.startswith((f"{repository}/blob/main/", f"{repository}/raw/main/")):
        wanted = path.removeprefix(f"{repository}/").partition("/main/")[2]
    elif not path or re.match(r"[a-z][a-z+.-]*:", path):
        return target
    else:
        wanted = posixpath.normpath(posixpath.join(posixpath.dirname(file), unquote(path)))
    page = site_path(wanted)
    if page is not None:
        own = site_path(file) or ""
        return posixpath.relpath(page, posixpath.dirname(own) or ".") + hash_sign + anchor
    there = ROOT / wanted
    if wanted.startswith("..") or not there.exists():
        return target
    return f"{repository}/{'tree' if there.is_dir() else 'blob'}/main/{wanted}{hash_sign}{anchor}"


def outside_code(text: str, change: Callable[[str], str]) -> str:
    """The text with `change` made to what is neither a block of code nor code in a line."""
    return "".join(part if is_code else _outside_spans(part, change) for is_code, part in _blocks(text))


def _outside_spans(prose: str, change: Callable[[str], str]) -> str:
    parts, at = [], 0
    for match in _CODE.finditer(prose):
        # A link's text may be code, so the whole is changed and the code put back.
        parts += [prose[at : match.start()], f"\0{match.start()}\0"]
        at = match.end()
    changed = change("".join([*parts, prose[at:]]))
    spans = {f"\0{match.start()}\0": match[0] for match in _CODE.finditer(prose)}
    return re.sub(r"\0\d+\0", lambda match: spans[match[0]], changed)


def _blocks(text: str) -> Iterator[tuple[bool, str]]:
    """Pieces of a page, in order: whether it is a fenced block of code, and its lines."""
    fence, lines = "", list[str]()
    for line in text.splitlines(keepends=True):
        begun = _FENCE.match(line)
        if begun and not fence:
            yield False, "".join(lines)
            fence, lines = begun[1], [line]
        elif begun and line.strip() == fence:
            yield True, "".join([*lines, line])
            fence, lines = "", []
        else:
            lines.append(line)
    yield bool(fence), "".join(lines)
