"""static-strict inside a real torch: its interface next to stock's, its joins, its deadlines, its store."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from inside_names import names_in

pytestmark = pytest.mark.needs_torch

SUBJECTS = (pytest.param("static", marks=pytest.mark.nightly), "static-strict")
"""That the checks are right, stock shows at night: torch does not change on a push."""


@pytest.mark.parametrize("subject", SUBJECTS)
@pytest.mark.parametrize("name", names_in("upstream_static"))
def test_stock_and_ours_pass_what_upstream_asks(check_inside: Callable[..., None], subject: str, name: str) -> None:
    """Both pass the same checks."""
    check_inside("upstream_static", name, subject)


@pytest.mark.parametrize("name", names_in("strict_arguments"))
def test_arguments_are_checked(check_inside: Callable[..., None], name: str) -> None:
    """Invalid ones are refused."""
    check_inside("strict_arguments", name)


@pytest.mark.parametrize("name", names_in("strict_join"))
def test_a_join_knows_who_joins(check_inside: Callable[..., None], name: str) -> None:
    """It knows each by rank, run and round."""
    check_inside("strict_join", name)


@pytest.mark.parametrize("name", names_in("strict_deadlines"))
def test_nothing_hangs_and_nothing_is_left(check_inside: Callable[..., None], name: str) -> None:
    """Each call ends in time whatever the other side does, and leaves no thread, descriptor or process."""
    check_inside("strict_deadlines", name)


@pytest.mark.parametrize("name", names_in("strict_store"))
def test_the_store_keeps_what_a_wrapper_can_promise(check_inside: Callable[..., None], name: str) -> None:
    """What it cannot promise is as docs/rendezvous.md says."""
    check_inside("strict_store", name)


@pytest.mark.parametrize("name", names_in("wire_checks"))
def test_the_wire_speaks_as_this_torch_does(check_inside: Callable[..., None], name: str) -> None:
    """Each message of the join gets the reply that the join expects."""
    check_inside("wire_checks", name)


@pytest.mark.parametrize("name", names_in("strict_handler"))
def test_a_handler_keeps_the_promises_of_torchs_interface(check_inside: Callable[..., None], name: str) -> None:
    """Closed, shut down, waited for: in every state, and soon whatever the server does."""
    check_inside("strict_handler", name)


@pytest.mark.parametrize("subject", SUBJECTS)
@pytest.mark.parametrize("name", names_in("torch_store"))
def test_both_stores_pass_what_torchs_own_tests_ask(check_inside: Callable[..., None], subject: str, name: str) -> None:
    """Where they differ, the check expects it."""
    check_inside("torch_store", name, subject)
