"""Hooks of MkDocs: pages from outside docs/, the page of the command line, and links to files of the repository."""

from __future__ import annotations

import os
from typing import Any

import command_line
import links
import tomllib
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

COMMAND_LINE = "reference/cli.md"


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """The repository is that of the workflow which builds the site, else the project's."""
    config["repo_url"], config["repo_name"] = _repository(), "GitHub"
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that do not lie in docs/."""
    for file, page in links.PAGES.items():
        files.append(File.generated(config, page, content=(links.ROOT / file).read_text(encoding="utf-8")))
    files.append(File.generated(config, COMMAND_LINE, content=command_line.page(links.ROOT)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links as the site has them."""
    return links.for_site(markdown, links.repo_path(page.file.src_uri), config["repo_url"])


def _repository() -> str:
    if "GITHUB_REPOSITORY" in os.environ:
        return f"{os.environ.get('GITHUB_SERVER_URL', 'https://github.com')}/{os.environ['GITHUB_REPOSITORY']}"
    project: dict[str, Any] = tomllib.loads((links.ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return str(project["urls"]["Repository"])
