"""Faults in how a join fails: not at all, too late, with the wrong class, or without saying why."""

from __future__ import annotations

from typing import Any

from rdzv_mutants.catalogue import ERRORS, Base, around, mutant

_MISSING_WORKER = ("a-missing-worker-is-named", "a-missing-worker-ends-the-join-at-the-timeout")
_MISSING_MASTER = ("a-missing-master-ends-the-join-in-time",)
_CLOSED = ("a-closed-rendezvous-cannot-be-joined",)
_HELD = ("a-held-port-is-reported-at-once", "a-held-port-raises-a-class-of-the-contract")


@mutant(ERRORS, "at its timeout the master returns from the join although ranks are missing", _MISSING_WORKER)
def timeout_raises_nothing(base: Base) -> None:
    protocol = base.part("protocol")

    @around(base.module._Call, "join_as_master")
    def join_as_master(original: Any, self: Any) -> Any:
        try:
            return original(self)
        except base.part("join_errors").RendezvousTimeoutError:
            self._handler._incarnation = base.part("keys").Incarnation.new()
            self._serve()
            return protocol.Joined(self._handler._incarnation, 1, (self._participant.name,))


@mutant(ERRORS, "a join fails with a RuntimeError and not with a class of the rendezvous", _MISSING_WORKER + _HELD)
def errors_are_runtime_errors(base: Base) -> None:
    @around(base.handler, "next_rendezvous")
    def join(original: Any, self: Any) -> Any:
        try:
            return original(self)
        except base.part("join_errors").RendezvousError as error:
            raise RuntimeError(str(error)) from error


@mutant(ERRORS, "the message of a join that failed says only that it failed", _MISSING_WORKER + _HELD)
def messages_say_nothing(base: Base) -> None:
    base.part("join_errors").JoinErrors._message = lambda self, because: "the rendezvous failed"


@mutant(
    ERRORS,
    "the error of a join does not have its cause",
    _MISSING_MASTER,
    survives="Python chains the error that was being handled by itself, so the traceback shows the cause all the same",
)
def causes_are_dropped(base: Base) -> None:
    base.part("join_errors")._caused = lambda error, cause: error


@mutant(ERRORS, "the message of a join that timed out does not name the ranks that are missing", _MISSING_WORKER)
def missing_ranks_are_not_named(base: Base) -> None:
    base.part("join_errors")._ranks = lambda ranks: "some ranks"


@mutant(
    ERRORS,
    "a connection that is refused until the deadline is reported as a timeout",
    ("a-link-that-stays-broken-ends-the-join", *_MISSING_MASTER),
)
def refusals_are_timeouts(base: Base) -> None:
    @around(base.part("join_errors").JoinErrors, "failed")
    def failed(original: Any, self: Any, error: BaseException, phase: str = "") -> Any:
        return self.timed_out("the store", error)


@mutant(ERRORS, "a closed run is reported as a wrong state", _CLOSED)
def closed_is_a_state_error(base: Base) -> None:
    errors = base.part("join_errors")

    @around(errors.JoinErrors, "closed")
    def closed(original: Any, self: Any, because: str) -> Any:
        return errors.RendezvousStateError(self._message(because))

    @around(errors.JoinErrors, "refused")
    def refused(original: Any, self: Any, refused: Any) -> Any:
        return errors.RendezvousStateError(self._message(refused.because))


@mutant(ERRORS, "a master whose port is held tries until its timeout", _HELD)
def held_ports_are_waited_for(base: Base) -> None:
    @around(base.module._Call, "_serve")
    def serve(original: Any, self: Any) -> Any:
        try:
            return original(self)
        except base.part("join_errors").RendezvousConnectionError as error:
            raise base.part("failures").Unreachable(str(error)) from error


@mutant(
    ERRORS,
    "a master whose port another master holds joins that one's store",
    ("a-second-master-does-not-disturb-the-first", "a-held-port-is-not-taken-for-the-agents-store"),
)
def held_ports_are_shared(base: Base) -> None:
    @around(base.part("masters"), "make_server")
    def make_server(original: Any, host: str, port: int, timeout: Any, deadline: float, alone: bool = False) -> Any:
        try:
            return original(host, port, timeout, deadline, alone)
        except base.part("failures").PortTaken:
            address = base.part("port").own_address()
            return base.module.make_store(address, port, timeout, deadline, 2.0)


@mutant(ERRORS, "a get that times out raises a KeyError", ("a-get-of-a-missing-key-raises-at-its-timeout",))
def get_raises_key_errors(base: Base) -> None:
    @around(base.store, "get")
    def get(original: Any, self: Any, key: str) -> bytes:
        try:
            return bytes(original(self, key))
        except RuntimeError as error:
            raise KeyError(key) from error


@mutant(ERRORS, "a rank that is out of range joins as the last one", ("a-rank-out-of-range-is-refused",))
def wrong_ranks_are_accepted(base: Base) -> None:
    @around(base.part("arguments"), "rank_in")
    def rank_in(original: Any, given: Any, world_size: int) -> int:
        return max(0, min(int(given), world_size - 1))


@mutant(
    ERRORS, "a rank that is given as text is refused", ("a-rank-given-as-text-is-accepted", "everybody-joins-in-time")
)
def ranks_as_text_are_refused(base: Base) -> None:
    @around(base.part("arguments"), "rank_in")
    def rank_in(original: Any, given: Any, world_size: int) -> int:
        if isinstance(given, str):
            raise ValueError(f"rank {given!r} is not a number")
        return int(original(given, world_size))


@mutant(ERRORS, "a timeout that is not above 0 is taken for the default", ("an-invalid-timeout-is-refused",))
def invalid_timeouts_are_accepted(base: Base) -> None:
    @around(base.part("arguments"), "timeout_of")
    def timeout_of(original: Any, given: Any) -> Any:
        try:
            return original(given)
        except ValueError:
            return original(600)


@mutant(ERRORS, "port 0 is taken for a port of its own choice", ("port-zero-is-refused",))
def port_zero_is_accepted(base: Base) -> None:
    @around(base.part("arguments"), "port_of")
    def port_of(original: Any, given: Any) -> int:
        return int(original(given or 29500))
