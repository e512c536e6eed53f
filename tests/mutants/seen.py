"""Which mutants a random run can show, with nothing written about what should happen: by which check, in which run.

A row is reasoned from the mutant's code; CONTRIBUTING.md says what a kill is, and `explore` is measured on these.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Seen:
    """How a random run can show a mutant.

    Attributes:
        by: the checks, standing ones among them, the likeliest first.
        needs: what must be in the run; empty if every run has it.
    """

    by: tuple[str, ...]
    needs: str = ""


def _by(*checks: str, needs: str = "") -> Seen:
    return Seen(checks, needs)


_ROUND, _MISSING, _RACE = "a second round", "a rank that is missing", "several clients on one key"
_CUT, _SILENT, _CLOSE = (
    "a connection that is cut in the join",
    "a link that is silent",
    "is_closed, set_closed, shutdown",
)
_CYCLES = "many joins in one process"

SEEN: dict[str, Seen] = {
    # errors
    "strict-timeout-raises-nothing": _by("agreement", "together", needs=_MISSING),
    "strict-errors-are-runtime-errors": _by("error_contract", needs=_MISSING),
    "strict-closed-is-a-state-error": _by("closing", needs=_CLOSE),
    "strict-wrong-ranks-are-accepted": _by("agreement", needs="a rank out of range"),
    # identity
    **{f"{base}-rank-off-by-one": _by("agreement") for base in ("strict", "stock")},
    **{f"{base}-ranks-permuted": _by("agreement") for base in ("strict", "stock")},
    **{f"{base}-world-size-off-by-one": _by("agreement") for base in ("strict", "stock")},
    "strict-last-rank-doubled": _by("agreement"),
    "strict-doubled-rank-joins": _by("agreement", needs="two processes of one rank"),
    "strict-replaced-rank-never-looks": _by("deadline", "agreement", needs="two processes of one rank"),
    "strict-dead-worker-counts": _by("together", needs="a worker that dies before the last rank comes"),
    "strict-worker-returns-at-once": _by("together", needs="a rank that is late"),
    "strict-half-a-world-is-enough": _by("agreement", "together", needs="a rank that is late"),
    "strict-second-round-does-not-wait": _by("together", needs=_ROUND),
    "strict-world-size-is-not-compared": _by("agreement", needs="a worker with another world size"),
    "stock-workers-are-not-waited-for": _by("agreement", needs="a rank that is late"),
    # isolation
    "strict-runs-share-keys": _by("prefix_isolation", "linearizable", needs="two runs that use the same keys"),
    "stock-prefix-is-missing": _by("prefix_isolation", "linearizable", needs="two runs that use the same keys"),
    "strict-rounds-share-keys": _by("prefix_isolation", "linearizable", needs=_ROUND),
    "strict-any-run-is-joined": _by("agreement", "prefix_isolation", needs="two runs on one server"),
    # lifecycle
    "strict-set-closed-is-local": _by("closing", needs=_CLOSE),
    "strict-set-closed-does-nothing": _by("closing", needs=_CLOSE),
    "strict-is-closed-says-no": _by("closing", needs=_CLOSE),
    "strict-is-closed-says-yes": _by("closing", needs=_CLOSE),
    "strict-closed-handlers-join-again": _by("closing", needs=_CLOSE),
    "strict-shutdown-says-no": _by("closing", needs=_CLOSE),
    "strict-shutdown-ends-anothers-server": _by("unaffected", needs="two runs on one server, one shut down"),
    "strict-second-round-opens-a-server": _by("store_reuse", needs=_ROUND),
    "strict-second-round-serves-anew": _by("store_reuse", "unaffected", needs=_ROUND),
    "stock-store-is-made-anew": _by("store_reuse", needs=_ROUND),
    "stock-servers-are-not-shared": _by("fresh_join", needs="two runs on one server"),
    "strict-lost-stores-are-not-noticed": _by("unaffected", needs="a link that breaks between two rounds"),
    # manners
    "strict-connections-come-in-a-storm": _by("no_storm", needs="a master that is late or missing"),
    "strict-waiting-burns-the-processor": _by("idle_wait", needs="a rank that is late"),
    "strict-greeting-is-split": _by("fresh_join"),
    # network
    # resources
    **{f"{base}-descriptors-leak": _by("no_leak", needs=_CYCLES) for base in ("strict", "stock")},
    **{f"{base}-connections-leak": _by("no_leak", needs=_CYCLES) for base in ("strict", "stock")},
    **{f"{base}-threads-leak": _by("no_leak", needs=_CYCLES) for base in ("strict", "stock")},
    "strict-processes-leak": _by("nothing_left_behind"),
    # store
    **{
        f"{base}-{name}": _by("linearizable", needs=needs)
        for base in ("strict", "stock")
        for name, needs in (
            ("check-says-yes-for-any", "a check of several keys"),
            ("append-overwrites", "two appends"),
            ("get-strips-white-space", "a value with white space at an end"),
            ("get-returns-an-older-value", "a value that changes between two gets"),
            ("set-does-not-replace", "two sets of one key"),
            ("compare-set-ignores-what-is-expected", "a compare_set that fails"),
            ("delete-key-does-nothing", "a delete_key"),
            ("multi-get-reverses", "a multi_get"),
            ("multi-set-is-partial", "a multi_set of several keys"),
            ("wait-ends-with-the-first-key", "a wait for a key that never comes"),
        )
    },
    **{f"{base}-add-is-not-atomic": _by("add_once", "linearizable", needs=_RACE) for base in ("strict", "stock")},
    "strict-add-wraps-at-32-bits": _by("add_once", "linearizable", needs="adds of more than 31 bits"),
    "strict-get-does-not-wait": _by("linearizable", needs="a get of a missing key"),
    "strict-values-are-cut": _by("linearizable", needs="a long value"),
    "strict-delete-key-says-no": _by("linearizable", needs="a delete_key"),
    "strict-queue-is-a-stack": _by("linearizable", needs="two values in a queue"),
    "strict-wait-returns-at-its-timeout": _by("linearizable", needs="a wait for a key that never comes"),
    "strict-writes-are-not-acknowledged": _by("linearizable", needs="a slow link, or one that loses a write"),
    "strict-lost-writes-raise-nothing": _by("linearizable", needs="a write that is lost, and a read of it"),
    "strict-add-is-sent-again": _by("add_once", "linearizable", needs="an add whose reply is cut, and another"),
    # times
    **{f"{base}-timeout-is-doubled": _by("deadline", needs=_MISSING) for base in ("strict", "stock")},
    **{f"{base}-deadline-is-off": _by("deadline", "no_hang", needs=_MISSING) for base in ("strict", "stock")},
    **{
        f"{base}-wait-ignores-its-timeout": _by("deadline", needs="a wait with a timeout of its own, a second shorter")
        for base in ("strict", "stock")
    },
    "strict-timeout-is-halved": _by("not_early", needs=_MISSING),
    "strict-store-calls-are-not-cut": _by("deadline", "no_hang", needs=_SILENT),
    "strict-wall-clock-is-used": _by("not_early", "deadline", needs="a wall clock that is moved"),
    "strict-first-refusal-ends-the-join": _by("fresh_join", "not_early", needs="a master that is late"),
    "strict-worker-tries-for-ever": _by("deadline", "no_hang", needs="a master that is missing"),
    "strict-pauses-are-long": _by("fresh_join", needs="a master that is a little late"),
    "strict-cut-joins-are-not-retried": _by("not_early", needs=_CUT),
    "stock-store-has-its-own-timeout": _by("deadline", "no_hang", needs="a get of a missing key"),
}

_TEXT = "only its message says so, and what a message must say depends on the case"
_CLAIM = "that it should be refused follows from the file's arguments, which a random run does not draw wrong"
_HOSTS = "it needs names, addresses or hosts, and random runs are played in the world `processes`"
_TORCHRUN = "it shows under torchrun only, which random runs seldom use and no check judges"
_PORT = "whether a port should be free depends on who else holds a store; only a written claim knows"

UNSEEN: dict[str, str] = {
    "strict-messages-say-nothing": _TEXT,
    "strict-missing-ranks-are-not-named": _TEXT,
    "strict-causes-are-dropped": "Python chains the error that was being handled by itself",
    "strict-refusals-are-timeouts": "both classes belong to the contract",
    "strict-held-ports-are-waited-for": "it ends within its timeout; that it should end at once is a written claim",
    "strict-held-ports-are-shared": "that a second master must not join the first one's store is a written claim",
    "strict-get-raises-key-errors": "the contract of errors is about joins; torch documents none for a get",
    "strict-ranks-as-text-are-refused": _CLAIM,
    "strict-invalid-timeouts-are-accepted": _CLAIM,
    "strict-port-zero-is-accepted": _CLAIM,
    "strict-run-ids-ignore-case": "random runs do not draw run ids that differ in case only",
    "strict-slashes-collide": "random runs do not draw run ids and keys with slashes",
    "strict-attempts-share-the-agents-store": _TORCHRUN,
    "strict-nobody-seems-to-wait": _TORCHRUN,
    "strict-somebody-seems-to-wait": _TORCHRUN,
    "strict-shutdown-keeps-the-port": _PORT,
    **{f"{base}-dropped-handlers-keep-the-port": _PORT for base in ("strict", "stock")},
    "strict-slots-are-polled": "the master asks its own server without a link, and torch's own polls are no fault",
    **{f"{base}-environment-overrides-the-port": "random runs set no environment" for base in ("strict", "stock")},
    **{f"{base}-localhost-is-returned": _HOSTS for base in ("strict", "stock")},
    **{
        f"{base}-another-port-is-returned": "links differ, so `agreement` does not judge the port that a join returns"
        for base in ("strict", "stock")
    },
    "strict-ipv6-is-not-tried": _HOSTS,
    "strict-master-listens-on-loopback": _HOSTS,
    "strict-first-address-only": _HOSTS,
    "strict-names-are-looked-up-once": _HOSTS,
    "strict-strangers-end-the-join": "not_early sees only errors of connections and time; this one says not a store",
    "strict-unknown-names-end-the-join": _HOSTS,
    "strict-timeout-is-rounded-up": "it ends half a second late, which is within the slack of every bound",
    "strict-multi-set-is-not-atomic": "torch's own server stores the values one after another (F47)",
    **{
        f"{base}-num-keys-is-off-by-one": "torch counts keys of its own and of other runs too (F50)"
        for base in ("strict", "stock")
    },
}
"""Those that no check sees in a random run, each with the reason."""
