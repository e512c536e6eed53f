"""Known causes of failures: one reviewed file of patterns, each with the failure or documented limit that it is."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion

from harness.explore.observation import Signature
from harness.explore.traits import traits
from harness.judge.known import torch_fits
from harness.loader.tree import document as yaml
from harness.loader.tree.file import read_text
from harness.loader.tree.nodes import Listing, plain
from harness.loader.tree.nodes import Mapping as Node
from harness.loader.tree.problems import Problems
from harness.values.errors import HarnessError
from harness.values.json import mapping

REVIEWED = Path(__file__).with_name("causes.yaml")

_OF_SIGNATURE = tuple(field.name for field in fields(Signature))
_NARROWING = ("verb", "error", "message", "wire", "frames", "when")
_OF_AGENTS = ("", "rendezvous", "exit")
"""Verbs of torchrun's agents. Their workers call a store that torch itself makes, whatever the agents' backend is."""
_KEYS = ("ref", "because", "subject", "torch", "when", *_OF_SIGNATURE)

Alternatives = tuple[str, ...]


@dataclass(frozen=True)
class Cause:
    """One entry of the file.

    Attributes:
        ref: an F-number of `harness/reference/failures.yaml`, or the name of a documented limit.
        because: one sentence: why the subject does this.
        subjects: of which subjects it is known.
        torch: versions of torch, as PEP 440 writes them; empty for all.
        fields: by field of the signature, patterns of which one must match; a field that is not there may be anything.
        when: for each part, traits of the scenario of which it must have one.
        line: of the file.
    """

    ref: str
    because: str
    subjects: frozenset[str]
    torch: str
    fields: Mapping[str, Alternatives]
    when: tuple[Alternatives, ...]
    line: int

    def fits(self, signature: Signature, subject: str, torch: str, has: Collection[str] | None = None) -> bool:
        """Whether it explains a signature; without the traits of the scenario, `when` is taken as fulfilled."""
        return (
            subject in self.subjects
            and _torch_fits(self.torch, torch)
            and all(_matches(patterns, getattr(signature, name)) for name, patterns in self.fields.items())
            and (has is None or all(_matches(part, tuple(has)) for part in self.when))
        )


def explained(signature: Signature, subject: str, torch: str, document: Mapping[str, Any] | None = None) -> str | None:
    """The reference of the first entry that explains a signature; None if none does.

    Args:
        torch: the version of the ranks' torch; empty if it is not known, which no range fits.
        document: the scenario; without it, what entries ask of the scenario is taken as fulfilled.
    """
    cause = explaining(signature, subject, torch, document)
    return None if cause is None else cause.ref


def explaining(
    signature: Signature, subject: str, torch: str, document: Mapping[str, Any] | None = None
) -> Cause | None:
    """That entry itself."""
    has = None if document is None else traits(document)
    if has is not None and "torchrun" in has and signature.verb not in _OF_AGENTS:
        subject = "static"
    return next((cause for cause in reviewed() if cause.fits(signature, subject, torch, has)), None)


def known_subjects() -> list[str]:
    """The subjects that the file has entries for, sorted."""
    return sorted({subject for cause in reviewed() for subject in cause.subjects})


@cache
def reviewed(path: Path = REVIEWED) -> tuple[Cause, ...]:
    """The entries of the file, in its order; raises ScenarioError or HarnessError for one that is malformed."""
    text = read_text(path)
    problems = Problems()
    tree = yaml.parse(text, problems)
    problems.raise_if_any(path, text)
    listed = tree.get("causes") if tree is not None else None
    if not isinstance(listed, Listing):
        raise HarnessError(f"{path}: there is no list `causes`; write `causes:` and the entries below it")
    return tuple(_read(node, path) for node in listed.items)


def _read(node: Any, path: Path) -> Cause:
    def refuse(what: str) -> HarnessError:
        return HarnessError(f"{path}:{node.position.line}: {what}; the head of the file says what an entry has")

    if not isinstance(node, Node):
        raise refuse("an entry is a mapping")
    entry = mapping(plain(node))
    unknown = [str(key) for key in entry if key not in _KEYS]
    if unknown:
        raise refuse(f"there is no key {unknown[0]!r}")
    missing = [key for key in ("ref", "because", "subject", "check") if key not in entry]
    if missing:
        raise refuse(f"{missing[0]} is missing")
    if not any(key in entry for key in _NARROWING):
        raise refuse(f"it explains too much: give one of {', '.join(_NARROWING)}")
    texts = {key: _texts(key, value, refuse) for key, value in entry.items() if key != "when"}
    for key in ("ref", "because", "torch"):
        if len(texts.get(key, ("",))) != 1:
            raise refuse(f"{key} is not one text")
    _check_range(texts.get("torch", ("",))[0], refuse)
    return Cause(
        ref=texts["ref"][0],
        because=texts["because"][0],
        subjects=frozenset(texts["subject"]),
        torch=texts.get("torch", ("",))[0],
        fields={name: texts[name] for name in _OF_SIGNATURE if name in texts},
        when=tuple(_texts("when", part, refuse) for part in _listed(entry.get("when", ()))),
        line=node.position.line,
    )


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _flat(value: Any) -> list[Any]:
    """The items of a list, and those of the lists in it, as an alias of a list has them."""
    return [item for one in value for item in _flat(one)] if isinstance(value, list | tuple) else [value]


def _texts(key: str, value: Any, refuse: Callable[[str], HarnessError]) -> Alternatives:
    found = _flat(value)
    if not found or not all(isinstance(one, str) for one in found):
        raise refuse(f"{key} is not a text, or a list of texts")
    return tuple(found)


def _check_range(written: str, refuse: Callable[[str], HarnessError]) -> None:
    try:
        SpecifierSet(written)
    except InvalidSpecifier:
        raise refuse(f"torch is {written!r}, not a range of versions as PEP 440 writes them") from None


def _torch_fits(specifier: str, version: str) -> bool:
    try:
        return torch_fits(specifier, version)
    except InvalidVersion:
        return False


def _matches(patterns: Alternatives, value: str | tuple[str, ...]) -> bool:
    """Whether a text, or one of several, is as one of the patterns says; `*` stands for any characters."""
    values = (value,) if isinstance(value, str) else value
    return any(_compiled(pattern).fullmatch(one) for pattern in patterns for one in values)


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, pattern.split("*"))), re.DOTALL)
