"""What the format means beyond its keys, in words: `explain` and the reference page print it."""

from __future__ import annotations

from dataclasses import dataclass

from harness.loader.keys.fields import LARGEST_INT, LONGEST_NAME, MOST_COUNTED, MOST_LIVES, MOST_TIMES
from harness.loader.keys.scope import MOST_RANKS
from harness.loader.tree.limits import (
    DEEPEST,
    LARGEST_FILE_BYTES,
    LONGEST_TEXT,
    MOST_AXES,
    MOST_CALLS,
    MOST_CELLS,
    MOST_ENTRIES,
    MOST_NODES,
    MOST_NODES_OF_CELLS,
    MOST_TURNS,
)
from harness.values.quantity import LONGEST_NS, MOST_BYTES, MOST_BYTES_PER_SECOND, MOST_TIMEOUTS, SLACK_NS


@dataclass(frozen=True)
class Prose:
    """One topic.

    Attributes:
        name: what `explain` finds it under.
        others: further words it is found under.
        text: paragraphs and `- ` lists.
    """

    name: str
    title: str
    text: str
    others: tuple[str, ...] = ()


NAMES = Prose(
    "names",
    "Names",
    """
Steps, faults and claims may have an `id`; without one the name is the `do`, `inject`, `check` or `step`. A name must be
unique once something refers to it. Steps and faults share one name space. Keys that begin with `x_` are ignored.

Each rank ends with a step named `exit` that is not written: the end of its process, `ok` with status 0, `failed`
with another, `died` by a signal. It begins when the rank may leave. A written `do: exit` needs an id.
""",
    ("name", "id"),
)

UNITS = Prose(
    "units",
    "Quantities",
    f"""
Quantities carry units; a bare number is refused.

- durations: `250us`, `250ms`, `6s`, `2min`; `timeout` is `world.timeout`: `timeout + slack`, `3 * timeout`
- sizes: `5B`, `100KB`, `512MiB`
- rates: `100KB/s`, `1MB/s`

Values of keys are text: `value: "1"`.

`slack` is what a call may take beyond its timeout: {SLACK_NS / 10**9:g} s. Torch's client pauses half a second between
two tries and looks at its deadline between them, so a call may end that much later. It is added to something:
`timeout + slack`. A master of stock that waits for its workers counts whole seconds, so its join is given
`timeout + 1s + slack`.

No slack is needed for a busy machine. The harness measures how late each process was that took part in a call: its own
rank, the master, other ranks that it waited for, proxy server, name servers and controller. So much longer an upper
bound is, for `within` and for checks that bound a time. A time in which several of them were late counts once. A call
that holds only by this passes, and a note says so. Time for which the ranks themselves ran does not count, since a
subject that keeps the processor busy is late by its own doing. A lower bound never gets shorter by this, except where
`since` is a moment that was recorded late.

Each quantity has a range, and one outside it is an error when the file is read:

- a duration, `timeout` worked out, is at most a day (`{LONGEST_NS // 10**9}s`), and negative only in `within`
- a size is at most `{MOST_BYTES >> 30}GiB`, a rate `{MOST_BYTES_PER_SECOND // 10**6}MB/s`, a factor of `timeout`
  {MOST_TIMEOUTS}
- a whole number is between -{LARGEST_INT} and {LARGEST_INT} unless its key says otherwise; `port` is 0 to 65535
- `times` of a step is at most {MOST_TIMES}, `life` and `max_restarts` {MOST_LIVES}, `count` {MOST_COUNTED}
- a world has at most {MOST_RANKS} ranks, and a play {MOST_CALLS} calls; ranks times steps are at most {MOST_TURNS},
  in all cells together
- a file has at most {LARGEST_FILE_BYTES >> 10} KiB, {DEEPEST} levels, and {MOST_NODES} keys and values with aliases
  written out; a list has {MOST_ENTRIES} entries, a text {LONGEST_TEXT} characters, a name {LONGEST_NAME}
- a matrix has at most {MOST_AXES} lines and {MOST_CELLS} cells; cells times keys and values are at most
  {MOST_NODES_OF_CELLS}
""",
    ("unit", "duration", "durations", "size", "rate", "quantities", "slack"),
)

RANKS = Prose(
    "ranks",
    "Ranks",
    """
A choice of rank processes is `2`, `[0, 3]`, `1-6`, `workers` (all but 0) or `all`. Below `world`, `ranks` has a key
for each rank for which something else holds.

The master, the process that is given rank 0, gets the real endpoint; every other rank has its own link through the
proxy. A fault on links that names a rank without a link is an error when the file is read, and so is any fault on links
under `route: direct`. An `address_change` is an error where there are links.
""",
)

MOMENTS = Prose(
    "moment",
    "Moments",
    """
`after`, `until`, `since` and `start` take the same thing:

- a duration since the clock started: `2s`
- the name of a step or of a fault: `join` (all its calls have ended), `broken` (it is in place)
- a list of these: all of them
- a mapping, below

Of a job, `log`, `file` and `port` are moments too. They are looked for about every 25 ms, and lower bounds of claims
allow for the time between two looks. A text counts as soon as it is in the log, and lines of all lives of a rank count.
A file that is there at the start does not count until another takes its place. Paths are those of this machine.

A moment that has come stays true. A step whose moment can no longer come is skipped at once. What waits for itself is
refused when the file is read.
""",
    ("moments", "after", "until", "since", "start"),
)

MATRIX = Prose(
    "matrix",
    "Matrix",
    """
One cell, and one pytest item, for each combination. Each line is a path, `section.name.key`, and either a list of
single values or, by label, a mapping that is laid over the entry:

    matrix:
      world.timeout: [1s, 3s]
      faults.broken:
        mute: {}
        cut: {inject: reset_peer}
    exclude:
      - {world.timeout: 3s, faults.broken: cut}

`exclude` and `cells` name cells by path and label, or a list of labels. Every cell is checked when the file is
read.
""",
    ("exclude", "cell", "cells"),
)

ORDER = Prose(
    "order",
    "Order and time",
    """
1. Links and rank processes are made and all faults of `after: 0s` are in place and verified; then the clock starts,
   and the ranks whose `start` is `0s` go off together.
2. A rank (a thread of it) takes its steps from top to bottom, each when the one above has ended, however it ended,
   and its `after` has come. Ranks wait for each other through `after` alone, never through the store.
3. A step whose moment can no longer come, or which needs a store or handler its rank does not have, is skipped at
   once.
4. An event is acted on some milliseconds after it, and a whole join may take less. What must happen under a fault
   says `after: THE-FAULT`, never a duration; what must be hit in the middle is held there first, by a toxic or a
   missing rank.
5. A rank with no more steps stays, its stores open, until all have none; `exit` leaves at once, `drop` releases a
   handler and its stores.
6. A `kill` with `for` or `until` (also `memory_limit` and `restart_host`) starts the rank again, from the first step,
   in its next life. In a moment `life` is the first by default, in a claim the last. At the end of the play no rank is
   started.
7. The play ends when no step runs and none can begin any more. Then what is active is healed in reverse order, and
   the ranks leave.
8. Times are of one monotonic clock. The guard of a paused rank stands still.
9. `failed` is what the caller saw, not what the server did.
""",
    ("time", "play"),
)

VERDICT = Prose(
    "verdict",
    "Verdict",
    """
The verdict of a cell is the first that fits:

1. `error`: harness or machine; no statement about the subject. Also when, after a red verdict with faults, the same
   world without faults joins neither with the subject nor with `echo`; when a part of the harness stood still and that
   can explain what broke (see below); and when a check cannot decide, as `linearizable` may not.
2. `failed`: a standing invariant is broken.
3. `vacuous`: the premise was missing: a fault was never injected or did not do what it promises (it touched nothing),
   or a check had nothing to judge.
4. `failed`: a claim is not met. A claim about a call that was skipped is not met, unless it says `skipped`.
5. `passed`.

Beside these: `known failure`, and `skipped`: what the machine or the world lacks, by name.

The harness watches its own parts during a play: the controller, the proxy server, the zygote, name servers, packet
queues and helpers of faults. A part stood still if it was stopped or frozen, or waited for a processor for half a
second or longer. It can explain a call that failed, hung, came late, came in another order or never began, and a
premise that is missing: then the verdict is `error`, and names the part and how long it stood still. It cannot explain
a wrong value, a crash, or broken `agreement`, `linearizable`, `prefix_isolation` or `store_reuse`: these stay
`failed`, also beside an error. What passed stays `passed`, with a note; but such a run does not show that a `known`
failure is gone, nor does one whose claim holds only because of how late processes were. An `error` of either kind is no
verdict, so the cell is played again, at most twice (`--replays`), and the report says so; `failed` is never played
again. A proxy server given by URL is watched if its
process can be seen; else the report says that it is not. A rank that stands still is the subject's affair.

Standing invariants are judged in every run: `agreement`, `prefix_isolation`, `no_hang`, `no_crash`, `no_leak`,
`no_storm`, `idle_wait`, `nothing_left_behind`. `waive` is for a fault that makes one of them meaningless.
""",
    (
        "status",
        "invariants",
        "agreement",
        "prefix_isolation",
        "no_hang",
        "no_crash",
        "no_leak",
        "no_storm",
        "idle_wait",
        "nothing_left_behind",
    ),
)

KNOWN = Prose(
    "known",
    "Known failures",
    """
A claim says what a correct system does: for every subject and every torch the same. What a subject does
instead stands in `known`: where `subject`, `torch` and `cells` fit, exactly the claims and invariants in `breaks` must
be broken, no other, and every claim in `instead` must hold. Anything else is `failed`, and so is passing: then delete
the entry. Nothing that depends on chance may be known.
""",
    ("instead", "breaks"),
)

TORCHRUN = Prose(
    "torchrun",
    "Worlds of torchrun agents",
    """
With `world.torchrun` each rank is a torchrun agent with one worker. The one `rendezvous` of the workload comes first
and is every agent's; all other steps are its worker's, a new interpreter that the agent starts. Each rendezvous of an
agent begins a life of its rank: `life: 2` is the second attempt. The unwritten `exit` is the agent's, in the life in
which the agent began.

- A worker has what torchrun gave it in its environment. Its store is that of `env://`: a client of the agents' store
  with no prefix, so attempts and run ids share their keys. `init_process_group` goes by `env://` too. The handler is
  the agent's: `shutdown`, `drop` and the like are refused.
- A worker that has no more steps leaves: with status 1 if one of its calls raised, as a script that does not catch it,
  else with 0. A written `exit` has its own code.
- `kill` and `pause` hit the agent. A worker that was at work goes on without its agent, as it does on a host; one that
  was only starting goes with it. When a killed agent is started again, its old worker is ended first.
- An agent waits at its end for the others as long as they work, so the guard of its `exit` counts from what happened
  last in the whole world; while a worker starts, 20 s are on top.
- `echo` and `command` are not rendezvous of torch: with them such a cell is skipped.
""",
    ("agent", "worker", "max_restarts"),
)

TOPICS = (NAMES, UNITS, RANKS, MOMENTS, MATRIX, ORDER, VERDICT, KNOWN, TORCHRUN)
