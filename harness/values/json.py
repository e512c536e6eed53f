"""Values read from JSON: taken for what they should be (else absent), or refused with the field's name."""

from __future__ import annotations

from typing import Any, Collection, Dict, List, Mapping, Optional, Tuple

LARGEST = 2**63 - 1


def mapping(value: Any) -> Mapping[str, Any]:
    """The value if it is a mapping, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def whole(value: Any) -> Optional[int]:
    """The value if it is an integer, else None; True and False do not count as integers."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


class Fields:
    """The fields of a mapping from JSON, each of one type.

    Every method returns a field, or `default` where the mapping does not have it (None: the field must be there).
    Raises ValueError with the field's name for a value of another type, or out of range; likewise for a `row` that is
    not a mapping.
    """

    def __init__(self, row: Any) -> None:
        if not isinstance(row, dict):
            raise ValueError(f"{_kind(row)} where a mapping should be")
        self._row: Dict[str, Any] = row

    def value(self, name: str) -> Any:
        if name not in self._row:
            raise ValueError(f"{name} is missing")
        return self._row[name]

    def text(self, name: str, default: Optional[str] = None) -> str:
        return _text(name, self._get(name, default))

    def text_or_none(self, name: str) -> Optional[str]:
        value = self._row.get(name)
        return None if value is None else _text(name, value)

    def one_of(self, name: str, allowed: Collection[str]) -> str:
        value = self.text(name)
        if value not in allowed:
            raise ValueError(f"{name} is {value[:40]!r}, not one of {', '.join(allowed)}")
        return value

    def whole(self, name: str, least: int = 0, default: Optional[int] = None) -> int:
        return whole_number(name, self._get(name, default), least)

    def whole_or_none(self, name: str) -> Optional[int]:
        value = self._row.get(name)
        return None if value is None else whole_number(name, value, -LARGEST)

    def flag(self, name: str, default: Optional[bool] = None) -> bool:
        value = self._get(name, default)
        if not isinstance(value, bool):
            raise ValueError(f"{name} is not true or false")
        return value

    def items(self, name: str, default: Optional[Tuple[Any, ...]] = None) -> Tuple[Any, ...]:
        value = self._get(name, default)
        if not isinstance(value, (list, tuple)):
            raise ValueError(f"{name} is {_kind(value)}, not a list")
        return tuple(value)

    def texts(self, name: str, default: Optional[Tuple[str, ...]] = None) -> Tuple[str, ...]:
        return tuple(_text(f"an item of {name}", value) for value in self.items(name, default))

    def wholes(self, name: str) -> Tuple[int, ...]:
        return tuple(whole_number(f"an item of {name}", value, 0) for value in self.items(name))

    def _get(self, name: str, default: Any) -> Any:
        return self.value(name) if default is None else self._row.get(name, default)


def whole_number(name: str, value: Any, least: int, most: int = LARGEST) -> int:
    """The value if it is an integer from `least` to `most`; raises ValueError with its name for anything else."""
    number = whole(value)
    if number is None:
        raise ValueError(f"{name} is {_kind(value)}, not an integer")
    if not least <= number <= most:
        raise ValueError(f"{name} is out of range, from {least} to {most}")
    return number


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{name} is {_kind(value)}, not a text")
    return value


def _kind(value: Any) -> str:
    kinds: List[Tuple[type, str]] = [
        (bool, "true or false"), (str, "a text"), (int, "an integer"), (float, "a number"), (dict, "a mapping"),
        (list, "a list"),
    ]  # fmt: skip
    return next((name for kind, name in kinds if isinstance(value, kind)), "null")
