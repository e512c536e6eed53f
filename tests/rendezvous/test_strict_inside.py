"""Our static rendezvous inside a real torch: its interface beside stock's, its joins, its deadlines, its store."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from inside_names import names_in

pytestmark = pytest.mark.needs_torch


@pytest.mark.parametrize("subject", ["static", "static-strict"])
@pytest.mark.parametrize("name", names_in("upstream_static"))
def test_stock_and_ours_pass_what_upstream_asks(check_inside: Callable[..., None], subject: str, name: str) -> None:
    """The same checks on both."""
    check_inside("upstream_static", name, subject)


@pytest.mark.parametrize("name", names_in("strict_arguments"))
def test_arguments_are_checked(check_inside: Callable[..., None], name: str) -> None:
    """What cannot be meant is refused."""
    check_inside("strict_arguments", name)


@pytest.mark.parametrize("name", names_in("strict_join"))
def test_a_join_knows_who_joins(check_inside: Callable[..., None], name: str) -> None:
    """By rank, run and round."""
    check_inside("strict_join", name)


@pytest.mark.parametrize("name", names_in("strict_deadlines"))
def test_nothing_hangs_and_nothing_is_left(check_inside: Callable[..., None], name: str) -> None:
    """Whatever the other side does."""
    check_inside("strict_deadlines", name)


@pytest.mark.parametrize("name", names_in("strict_store"))
def test_the_store_keeps_what_a_wrapper_can_promise(check_inside: Callable[..., None], name: str) -> None:
    """And what it cannot is as it is said to be."""
    check_inside("strict_store", name)


@pytest.mark.parametrize("name", names_in("wire_checks"))
def test_the_wire_speaks_as_this_torch_does(check_inside: Callable[..., None], name: str) -> None:
    """Message by message."""
    check_inside("wire_checks", name)
