"""What is reported of files that cannot be read: where, what, and what to write instead, to the letter."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.loader import load, load_text
from harness.values.errors import ScenarioError

SOUND = """\
schema: rdzv-scenario/v1
title: A claim
world: {size: 3, timeout: 2s}
workload:
  - {id: join, do: rendezvous}
  - {do: set, ranks: 0, key: a, value: "1"}
faults:
  - {id: cut, inject: blackhole, ranks: 1, stream: downstream, after: join, for: 1s}
expect:
  - {step: join, is: ok}
"""

# What is replaced in the sound file, by what, and the whole text that is reported.
TABLE = [
    (
        "a bare number",
        ("timeout: 2s", "timeout: 2"),
        """\
f.rdzv.yaml:3:27: 2 is not a duration with a unit
  world: {size: 3, timeout: 2}
                            ^
  write 2s (for example 250ms, 6s, timeout + 1s)""",
    ),
    (
        "a fraction of a second",
        ("timeout: 2s", "timeout: 500ms"),
        """\
f.rdzv.yaml:3:27: 0.5 s is not a whole number of seconds, and stock would cut it
  world: {size: 3, timeout: 500ms}
                            ^
  write whole seconds, or pass it raw: `config: {timeout: "0.5"}`""",
    ),
    (
        "an unknown key of the world",
        ("size: 3", "size: 3, tiemout: 1s"),
        """\
f.rdzv.yaml:3:18: `world` has no key 'tiemout'
  world: {size: 3, tiemout: 1s, timeout: 2s}
                   ^
  did you mean 'timeout'?""",
    ),
    (
        "an unknown key of a rank",
        ("size: 3", "size: 3, ranks: {2: {strat: never}}"),
        """\
f.rdzv.yaml:3:30: `world.ranks.2` has no key 'strat'
  world: {size: 3, ranks: {2: {strat: never}}, timeout: 2s}
                               ^
  did you mean 'start'?""",
    ),
    (
        "a key that YAML 1.1 takes for a flag",
        ("faults:", "on: 1\nfaults:"),
        """\
f.rdzv.yaml:7:1: a scenario has no key 'on'
  on: 1
  ^
  known here: schema, title, tags, refs, needs, matrix, exclude, world, job, workload, faults, expect, waive, known""",
    ),
    (
        "a required key that is missing",
        ("size: 3, ", ""),
        """\
f.rdzv.yaml:3:8: `world` needs `size`
  world: {timeout: 2s}
         ^
  add `size: 2`: number of rank processes, 0 to size - 1""",
    ),
    (
        "an unknown verb",
        ("do: set", "do: sett"),
        """\
f.rdzv.yaml:6:10: there is no step 'sett'
    - {do: sett, ranks: 0, key: a, value: "1"}
           ^
  did you mean 'set'?""",
    ),
    (
        "an unknown fault",
        ("inject: blackhole", "inject: blackole"),
        """\
f.rdzv.yaml:8:23: there is no fault 'blackole'
    - {id: cut, inject: blackole, ranks: 1, stream: downstream, after: join, for: 1s}
                        ^
  did you mean 'blackhole'?""",
    ),
    (
        "a value without quotes",
        ('value: "1"', "value: 0x1F"),
        """\
f.rdzv.yaml:6:40: `value` is text, not the number 0x1F
    - {do: set, ranks: 0, key: a, value: 0x1F}
                                         ^
  write "0x1F" in quotes""",
    ),
    (
        "a link fault on the master",
        ("ranks: 1", "ranks: [0, 1]"),
        """\
f.rdzv.yaml:8:41: rank 0 has no link: all its handlers are given rank 0
    - {id: cut, inject: blackhole, ranks: [0, 1], stream: downstream, after: join, for: 1s}
                                          ^
  name the workers: the master uses the real endpoint""",
    ),
    (
        "a link fault where there are no links",
        ("size: 3", "size: 3, route: direct"),
        """\
f.rdzv.yaml:8:23: 'blackhole' works on links, and `route: direct` has none
    - {id: cut, inject: blackhole, ranks: 1, stream: downstream, after: join, for: 1s}
                        ^
  take `route: direct` out, or leave this cell out with `exclude`""",
    ),
    (
        "a fault that no link can follow",
        ("{id: cut, inject: blackhole, ranks: 1, stream: downstream,", "{id: cut, inject: address_change,"),
        """\
f.rdzv.yaml:8:23: 'address_change' needs `route: direct`: a link leads to an address and not to a name
    - {id: cut, inject: address_change, after: join, for: 1s}
                        ^
  write `route: direct` in `world`, or leave this cell out with `exclude`""",
    ),
    (
        "a rank that is not there",
        ("ranks: 0", "ranks: 2-4"),
        """\
f.rdzv.yaml:6:22: there are no ranks 3, 4 in a world of size 3
    - {do: set, ranks: 2-4, key: a, value: "1"}
                       ^
  ranks are 0 to 2""",
    ),
    (
        "a toxic without a stream",
        ("stream: downstream, ", ""),
        """\
f.rdzv.yaml:8:5: fault 'blackhole' needs `stream`
    - {id: cut, inject: blackhole, ranks: 1, after: join, for: 1s}
      ^
  add `stream: downstream`: the direction: `upstream` (to the master), `downstream` or `both`""",
    ),
    (
        "a name that nothing has",
        ("after: join", "after: joint"),
        """\
f.rdzv.yaml:8:71: there is no step or fault named 'joint'
    - {id: cut, inject: blackhole, ranks: 1, stream: downstream, after: joint, for: 1s}
                                                                        ^
  did you mean 'join'?""",
    ),
    (
        "a name that two things have",
        ("{do: set, ", "{id: join, do: set, "),
        """\
f.rdzv.yaml:8:71: the name 'join' can mean the step in line 5 and the step in line 6
    - {id: cut, inject: blackhole, ranks: 1, stream: downstream, after: join, for: 1s}
                                                                        ^
  give one of them another id

f.rdzv.yaml:10:12: the name 'join' can mean the step in line 5 and the step in line 6
    - {step: join, is: ok}
             ^
  give one of them another id""",
    ),
    (
        "a malformed moment",
        ("after: join", "after: {stp: join}"),
        """\
f.rdzv.yaml:8:72: a moment has no key 'stp'
    - {id: cut, inject: blackhole, ranks: 1, stream: downstream, after: {stp: join}, for: 1s}
                                                                         ^
  did you mean 'step'?""",
    ),
    (
        "a state that no call has",
        ("after: join", "after: {step: join, is: begn}"),
        """\
f.rdzv.yaml:8:88: `is` cannot be the text 'begn'
    - {id: cut, inject: blackhole, ranks: 1, stream: downstream, after: {step: join, is: begn}, for: 1s}
                                                                                         ^
  did you mean 'begun'?""",
    ),
    (
        "a circle",
        ("do: rendezvous", "do: rendezvous, after: cut"),
        """\
f.rdzv.yaml:8:71: this waits for itself: 'join' waits for 'cut', which waits for 'join'
    - {id: cut, inject: blackhole, ranks: 1, stream: downstream, after: join, for: 1s}
                                                                        ^
  remove one of these moments, or give the step another thread""",
    ),
    (
        "two ends of a fault",
        ("for: 1s", "for: 1s, until: 9s"),
        """\
f.rdzv.yaml:8:86: a fault has either `for` or `until`
    - {id: cut, inject: blackhole, ranks: 1, stream: downstream, after: join, for: 1s, until: 9s}
                                                                                       ^
  take one out""",
    ),
    (
        "hung outside of instead",
        ("is: ok", "is: hung"),
        """\
f.rdzv.yaml:10:22: `hung` is for `instead` only
    - {step: join, is: hung}
                       ^
  no call may hang in any run; write what a subject does under `known: instead`""",
    ),
    (
        "a claim that contradicts itself",
        ("is: ok", "is: ok, error: ValueError"),
        """\
f.rdzv.yaml:10:26: `error` contradicts `is`: only what failed raised something
    - {step: join, is: ok, error: ValueError}
                           ^
  write `is: failed`, or take it out""",
    ),
    (
        "a claim about a step that is not there",
        ("step: join", "step: joyn"),
        """\
f.rdzv.yaml:10:12: there is no step named 'joyn'
    - {step: joyn, is: ok}
             ^
  did you mean 'join'?""",
    ),
    (
        "a claim about a fault",
        ("step: join, is", "step: cut, is"),
        """\
f.rdzv.yaml:10:12: 'cut' is the fault in line 8, not a step
    - {step: cut, is: ok}
             ^
  name a step""",
    ),
    (
        "a claim about more calls than there are",
        ("is: ok", "count: 4"),
        """\
f.rdzv.yaml:10:25: there are only 3 such calls
    - {step: join, count: 4}
                          ^
  write at most 3""",
    ),
    (
        "a standing invariant as a claim",
        ("{step: join, is: ok}", "{check: agreement}"),
        """\
f.rdzv.yaml:10:13: 'agreement' is judged in every run
    - {check: agreement}
              ^
  remove the claim; `waive` is for a fault that makes it meaningless""",
    ),
    (
        "an unknown check",
        ("{step: join, is: ok}", "{check: toghether}"),
        """\
f.rdzv.yaml:10:13: there is no check 'toghether'
    - {check: toghether}
              ^
  did you mean 'together'?""",
    ),
    (
        "a written exit without an id",
        ('do: set, ranks: 0, key: a, value: "1"', "do: exit"),
        """\
f.rdzv.yaml:6:10: a written `exit` needs an id: the implicit last step has that name
    - {do: exit}
           ^
  add an id, for example `id: leave`""",
    ),
    (
        "a name that reads as a duration",
        ("{do: set", "{id: timeout, do: set"),
        """\
f.rdzv.yaml:6:10: the name 'timeout' would be read as a duration
    - {id: timeout, do: set, ranks: 0, key: a, value: "1"}
           ^
  choose another""",
    ),
    (
        "a handler that nothing builds",
        ("{do: set", "{do: set, handler: man"),
        """\
f.rdzv.yaml:6:24: no step builds a handler 'man'
    - {do: set, handler: man, ranks: 0, key: a, value: "1"}
                         ^
  did you mean 'main'?""",
    ),
    (
        "key and keys",
        ('do: set, ranks: 0, key: a, value: "1"', "do: wait, key: a, keys: [b]"),
        """\
f.rdzv.yaml:6:5: give either `key` or `keys`, not both
    - {do: wait, key: a, keys: [b]}
      ^""",
    ),
    (
        "a matrix that leads nowhere",
        ("faults:", "matrix: {faults.cat: {a: {}}}\nfaults:"),
        """\
f.rdzv.yaml:7:10: `faults` has no entry 'cat'
  matrix: {faults.cat: {a: {}}}
           ^
  did you mean 'cut'?""",
    ),
    (
        "a list among the values of a matrix",
        ("faults:", "matrix: {faults.cut.for: [[1s]]}\nfaults:"),
        """\
f.rdzv.yaml:7:27: a list in the matrix holds single values, not a list
  matrix: {faults.cut.for: [[1s]]}
                            ^
  give it a label: `label: {KEY: VALUE}` in place of the list""",
    ),
    (
        "a problem of one cell",
        ("faults:", "matrix: {faults.cut.for: [1s, 2]}\nfaults:"),
        """\
f.rdzv.yaml:7:31: 2 is not a duration with a unit (in cell for=2)
  matrix: {faults.cut.for: [1s, 2]}
                                ^
  write 2s (for example 250ms, 6s, timeout + 1s)""",
    ),
    (
        "a label that the matrix does not have",
        ("faults:", "matrix: {world.size: [2, 3]}\nexclude: [{world.size: 4}]\nfaults:"),
        """\
f.rdzv.yaml:8:24: the line 'world.size' of the matrix has no label '4'
  exclude: [{world.size: 4}]
                         ^
  it has: 2, 3""",
    ),
    (
        "a known failure of nothing",
        ("expect:", "known: [{subject: static, breaks: [joint], because: so, torch: 2.6.x}]\nexpect:"),
        """\
f.rdzv.yaml:9:36: there is no claim and no standing invariant 'joint'
  known: [{subject: static, breaks: [joint], because: so, torch: 2.6.x}]
                                     ^
  did you mean 'join'?

f.rdzv.yaml:9:64: '2.6.x' is not a range of versions
  known: [{subject: static, breaks: [joint], because: so, torch: 2.6.x}]
                                                                 ^
  write it as PEP 440 does: ">=2.6", ">=2.6,<2.9\"""",
    ),
    (
        "a waiver of no invariant",
        ("expect:", "waive: [{check: no_hangs, because: so}]\nexpect:"),
        """\
f.rdzv.yaml:9:17: there is no standing invariant 'no_hangs'
  waive: [{check: no_hangs, because: so}]
                  ^
  did you mean 'no_hang'?""",
    ),
    (
        "a duplicate key, beside another problem",
        ("title: A claim\nworld", "title: A claim\ntitle: B\nwolrd"),
        """\
f.rdzv.yaml:1:1: a scenario needs `world`
  schema: rdzv-scenario/v1
  ^
  add `world: {size: 2, timeout: 3s}`: the world of ranks

f.rdzv.yaml:3:1: the key 'title' is given twice
  title: B
  ^
  line 2 has it already; keep one of the two

f.rdzv.yaml:4:1: a scenario has no key 'wolrd'
  wolrd: {size: 3, timeout: 2s}
  ^
  did you mean 'world'?""",
    ),
    (
        "a key without a value",
        ("title: A claim", "title:"),
        """\
f.rdzv.yaml:2:1: the key 'title' has no value
  title:
  ^
  write a value after `title:`, or take the key out""",
    ),
    (
        "a bracket that is not closed",
        ("for: 1s}", "for: 1s"),
        """\
f.rdzv.yaml:9:7: this is not YAML: expected ',' or '}', but got ':'
  expect:
        ^
  close the bracket, or put a comma between the entries""",
    ),
    (
        "text that YAML takes for a mapping",
        ("title: A claim", "title: A claim: this one"),
        """\
f.rdzv.yaml:2:15: this is not YAML: mapping values are not allowed here
  title: A claim: this one
                ^
  put text that contains `: ` in quotes, and check the indentation of this line and the one above""",
    ),
    (
        "a tab",
        ("  - {step", "\t- {step"),
        """\
f.rdzv.yaml:10:1: a tab cannot stand here
   - {step: join, is: ok}
  ^
  indent with spaces""",
    ),
    (
        "a second document",
        ("expect:", "---\nexpect:"),
        """\
f.rdzv.yaml:9:1: a second document begins here
  ---
  ^
  one claim, one file: put it into a file of its own""",
    ),
    (
        "an alias of nothing",
        ("title: A claim", "title: *claim"),
        """\
f.rdzv.yaml:2:8: found undefined alias 'claim'
  title: *claim
         ^
  put text that begins with `*` in quotes""",
    ),
    (
        "a tree that contains itself",
        ("title: A claim", "title: &a [*a]"),
        """\
f.rdzv.yaml:2:8: an alias stands inside what it stands for
  title: &a [*a]
         ^
  write the value out""",
    ),
    (
        "a tag",
        ("title: A claim", "title: !!python/name:os.system x"),
        """\
f.rdzv.yaml:2:8: a scenario has no YAML tags such as 'tag:yaml.org,2002:python/name:os.system'
  title: !!python/name:os.system x
         ^
  take the tag out""",
    ),
    (
        "a directive",
        ("schema:", "%YAML 1.1\n---\nschema:"),
        """\
f.rdzv.yaml:1:1: a scenario has no YAML directives
  %YAML 1.1
  ^
  take the line out; it is YAML 1.2""",
    ),
    (
        "a key that is not text",
        ("size: 3", "size: 3, true: 1"),
        """\
f.rdzv.yaml:3:18: the key 'true' is not text
  world: {size: 3, true: 1, timeout: 2s}
                   ^
  write "true" in quotes""",
    ),
    (
        "a mapping as a key",
        ("size: 3", "size: 3, {a: 1}: 1"),
        """\
f.rdzv.yaml:3:18: a mapping cannot be a key
  world: {size: 3, {a: 1}: 1, timeout: 2s}
                   ^
  a key is a word; put it in quotes""",
    ),
    (
        "a character that YAML does not allow",
        ("title: A claim", "title: A\x07claim"),
        """\
f.rdzv.yaml:2:9: character U+0007 is not allowed in YAML
  title: A claim
          ^
  take it out""",
    ),
]


@pytest.mark.parametrize(("change", "text"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_what_is_wrong_is_reported_to_the_letter(change: tuple[str, str], text: str) -> None:
    """One change to a sound file, and the whole text of what is said about it."""
    assert SOUND.count(change[0]) == 1, f"the sound file has {change[0]!r} once"
    with pytest.raises(ScenarioError) as caught:
        load_text(SOUND.replace(*change), Path("f.rdzv.yaml"))
    assert str(caught.value) == text


def test_the_sound_file_is_sound() -> None:
    """What the table breaks can be read."""
    assert len(load_text(SOUND, Path("f.rdzv.yaml"))) == 1


def test_all_problems_come_at_once_in_the_order_of_the_file() -> None:
    """Several wrong places in one file give as many problems, each with its own caret."""
    text = SOUND.replace("2s", "2", 1).replace("do: set", "do: gett").replace("is: ok", "within: 5")
    with pytest.raises(ScenarioError) as caught:
        load_text(text, Path("f.rdzv.yaml"))
    assert [problem.split(": ")[0] for problem in caught.value.problems] == [
        "f.rdzv.yaml:3:27",
        "f.rdzv.yaml:6:10",
        "f.rdzv.yaml:10:26",
    ]


@pytest.mark.parametrize("text", ["", "   \n", "# only a comment\n", "---\n", "null", "- a", "text", "5"])
def test_what_is_not_a_mapping_gets_the_first_line_to_write(text: str) -> None:
    """An empty file, a list and a word all get the first line to write."""
    with pytest.raises(ScenarioError, match="begin with `schema: rdzv-scenario/v1`"):
        load_text(text, Path("f.rdzv.yaml"))


SWARM = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 10))


@pytest.mark.parametrize(
    "text",
    ["[" * 500_000, "- " * 3000, "{a: " * 3000, SWARM],
    ids=["brackets", "dashes", "braces", "aliases"],
)
def test_deep_and_wide_files_end_soon(text: str) -> None:
    """Nesting without end and a swarm of aliases are problems, not a crash."""
    with pytest.raises(ScenarioError):
        load_text(text, Path("f.rdzv.yaml"))


def test_aliases_that_end_are_followed() -> None:
    """An anchor and its alias are the same value twice."""
    text = SOUND.replace("world: {size: 3, timeout: 2s}", "world: {size: 3, timeout: &t 2s, ranks: {1: {timeout: *t}}}")
    assert load_text(text, Path("f.rdzv.yaml"))[0].world.ranks[1].handlers["main"].timeout_ns == 2_000_000_000


def test_a_file_that_is_not_utf8_says_which_byte(tmp_path: Path) -> None:
    """The place of the first wrong byte, and what to do."""
    path = tmp_path / "f.rdzv.yaml"
    path.write_bytes(b"schema: rdzv-scenario/v1\ntitle: \xff\n")
    with pytest.raises(ScenarioError, match=r":2:8: byte 0xff is not UTF-8\n  save the file as UTF-8"):
        load(path)
    path.write_bytes("schema: rdzv-scenario/v1".encode("utf-16"))
    with pytest.raises(ScenarioError, match="is not UTF-8"):
        load(path)


def test_what_cannot_be_read_as_a_file_is_reported(tmp_path: Path) -> None:
    """A folder, a path that leads nowhere, a file that is far too long."""
    with pytest.raises(ScenarioError, match="this is a folder"):
        load(tmp_path)
    with pytest.raises(ScenarioError, match="cannot be read: No such file"):
        load(tmp_path / "absent.rdzv.yaml")
    with pytest.raises(ScenarioError, match="cannot be read"):
        load(Path("nul\0.rdzv.yaml"))
    long = tmp_path / "long.rdzv.yaml"
    long.write_text("#" * (1 << 21), encoding="utf-8")
    with pytest.raises(ScenarioError, match="too large for a scenario"):
        load(long)


def test_a_long_line_is_shown_around_the_caret() -> None:
    """The picture fits a screen, and the caret stands under the place."""
    text = SOUND.replace("{step: join, is: ok}", "{step: join, x_note: " + "a" * 500 + ", is: okk}")
    with pytest.raises(ScenarioError) as caught:
        load_text(text, Path("f.rdzv.yaml"))
    _, line, caret, _ = str(caught.value).split("\n")
    assert max(len(line), len(caret)) <= 170
    assert line[caret.index("^") :].startswith("okk")


def test_a_matrix_without_end_is_refused() -> None:
    """Cells are counted before they are made."""
    lines = "".join(f"  world.ranks.{rank}.start: [{', '.join(f'{n}ms' for n in range(50))}]\n" for rank in range(9))
    with pytest.raises(ScenarioError, match=r"a matrix of 1953125000000000 cells is too large"):
        load_text(SOUND.replace("faults:", f"matrix:\n{lines}faults:"), Path("f.rdzv.yaml"))
