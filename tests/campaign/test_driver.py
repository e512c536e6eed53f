"""The driver of a campaign: who gets what, and who is blamed for a loss."""

from __future__ import annotations

from harness.campaign.driver import Driver, GivenUp, Shard
from harness.campaign.plan import Lane, Plan


def _driver(plays: int, *machines: str) -> Driver:
    driver = Driver(Plan(["a"] * plays, {"a": 6.0}))
    for machine in machines:
        driver.joined(machine, worlds=1)
    return driver


def _first(driver: Driver) -> Shard:
    return driver.next_shards()[0]


def test_a_machine_has_two_shards_at_most() -> None:
    """The one that it plays, and the next; all have one before any has two."""
    driver = _driver(1000, "a", "b")
    assert [shard.machine for shard in driver.next_shards()] == ["a", "b", "a", "b"]
    assert driver.next_shards() == []
    driver.ended(2)
    assert [shard.machine for shard in driver.next_shards()] == ["b"]


def test_a_lost_shard_is_sent_again_without_what_is_recorded() -> None:
    """To a machine that lives."""
    driver = _driver(4, "a", "b")
    first = Driver.next_shards(driver)
    assert [(shard.machine, shard.plays) for shard in first] == [("a", (0,)), ("b", (1,)), ("a", (2,)), ("b", (3,))]
    assert driver.finished(0, 6.0)
    driver.left("a", "it died")
    driver.ended(2)
    (again,) = [shard for shard in driver.next_shards() if shard.machine == "b"][:1]
    assert again.plays == (1,)  # its machine said that it ended, and played nothing
    assert driver.plan.left == 3


def test_a_play_that_had_not_begun_is_never_blamed() -> None:
    """However often its machine dies before it."""
    driver = _driver(1)
    for number in range(1, 20):
        driver.joined(f"m{number}", worlds=1)
        assert _first(driver).plays == (0,)
        driver.left(f"m{number}", "it died")
    assert driver.given_up() == []
    assert driver.losses == 0


def test_blame_is_on_what_had_begun() -> None:
    """Once: sent again beside others; twice: alone; three times: given up."""
    driver = _driver(8, "a")
    shard = _first(driver)
    assert shard.plays == (0, 1, 2, 3)
    driver.begun(shard.number, 0)
    driver.begun(shard.number, 1)
    driver.finished(0, 6.0)
    driver.left("a", "it died")
    driver.joined("b", worlds=1)
    again = _first(driver)
    assert 1 in again.plays
    assert len(again.plays) > 1
    driver.begun(again.number, 1)
    driver.left("b", "it died")
    driver.joined("c", worlds=1)
    alone = _first(driver)
    assert alone.plays == (1,)
    driver.shard_begun(alone.number)
    driver.left("c", "it burnt")
    assert driver.given_up() == [GivenUp(1, "it burnt")]
    assert driver.given_up() == []
    driver.finished(1, 0.0)
    driver.joined("d", worlds=1)
    assert all(1 not in shard.plays for shard in driver.next_shards())


def test_a_shard_and_its_copy_give_up_nothing_together() -> None:
    """Three machines that died with the same plays say nothing about one of them; alone, each is played."""
    driver = Driver(Plan(["a"] * 3, {"a": 0.5}))
    driver.joined("a", worlds=1)
    (first,) = driver.next_shards()
    driver.shard_begun(first.number)
    driver.left("a", "it died")
    driver.joined("b", worlds=1)
    (again,) = driver.next_shards()
    driver.joined("c", worlds=1)
    (copy,) = driver.next_shards()
    assert first.plays == again.plays == copy.plays == (0, 1, 2)
    for shard in (again, copy):
        driver.shard_begun(shard.number)
        driver.left(shard.machine, "it died")
    assert driver.given_up() == []
    driver.joined("d", worlds=1)
    assert [len(shard.plays) for shard in driver.next_shards()] == [1, 1]


def test_a_result_of_a_lost_shard_counts_if_it_is_the_first() -> None:
    """A machine may be thought dead, and its rows come all the same."""
    driver = _driver(1, "a", "b")
    lost = _first(driver)
    driver.begun(lost.number, 0)
    driver.lost(lost.number, "it is silent")
    again = _first(driver)
    assert driver.finished(0, 6.0)
    assert not driver.finished(0, 6.0)
    driver.lost(again.number, "it is silent")
    assert driver.is_done
    assert driver.given_up() == []


def test_what_comes_late_or_from_nowhere_changes_nothing() -> None:
    """Of shards that are over, and of machines that nobody knows."""
    driver = _driver(2, "a")
    driver.begun(77, 0)
    driver.shard_begun(77)
    driver.lost(77, "?")
    driver.ended(77)
    driver.left("nobody", "?")
    assert driver.plan.left == 2
    assert driver.machines == ("a",)


def test_a_machine_without_work_gets_what_a_slow_one_has_not_played() -> None:
    """Once for each shard, and never its own."""
    driver = _driver(2, "slow")
    assert [shard.plays for shard in driver.next_shards()] == [(0,), (1,)]
    driver.joined("quick", worlds=1)
    assert [(shard.machine, shard.plays) for shard in driver.next_shards()] == [("quick", (0,))]
    driver.finished(0, 6.0)
    driver.ended(3)
    assert [(shard.machine, shard.plays) for shard in driver.next_shards()] == [("quick", (1,))]
    driver.ended(4)
    assert driver.next_shards()[0].plays == (1,)  # it said that it had ended, and had not played


def _over(lanes: dict[str, int], *subjects: str) -> Driver:
    """A driver with so many plays of six seconds for each environment and subject."""
    of_each = [
        Lane(name, subject) for name, count in lanes.items() for subject in subjects or ("s",) for _ in range(count)
    ]
    return Driver(Plan(["a"] * len(of_each), {"a": 6.0}, of_each))


def _played(driver: Driver, shard: Shard) -> None:
    driver.shard_begun(shard.number)
    for play in shard.plays:
        driver.finished(play, 6.0)
    driver.ended(shard.number)


def _all(driver: Driver) -> list[tuple[str, str]]:
    """Play to the end; returns the machine and the environment of each shard."""
    seen: list[tuple[str, str]] = []
    while not driver.is_done:
        shards = driver.next_shards()
        assert shards
        for shard in shards:
            seen.append((shard.machine, shard.lane.environment))
            _played(driver, shard)
    return seen


def test_a_machine_stays_in_its_environment() -> None:
    """Each of four environments is played by the machine that has it, and by no other, although there are two."""
    driver = _over(dict.fromkeys("ABCD", 40), "static", "strict")
    driver.joined("one", 1, ["A", "C"])
    driver.joined("two", 1, ["B", "D"])
    assert set(_all(driver)) == {("one", "A"), ("one", "C"), ("two", "B"), ("two", "D")}


def test_a_machine_plays_a_lane_to_its_end() -> None:
    """It does not go to and fro between subjects, although the longer one waits meanwhile."""
    driver = _over({"A": 60}, "static", "strict")
    driver.joined("one", 1, ["A"])
    seen: list[str] = []
    while not driver.is_done:
        for shard in driver.next_shards():
            seen.append(shard.lane.subject)
            _played(driver, shard)
    assert len(seen) > 4
    assert seen == sorted(seen, key=seen.index)


def test_machines_that_have_no_environment_are_dealt_out() -> None:
    """As many to each."""
    driver = _over({"A": 500, "B": 400})
    for name in ("a", "b"):
        driver.joined(name, 1, [name.upper()])
    for name in ("c", "d"):
        driver.joined(name, 1)
    shards = driver.next_shards()
    assert sorted(shard.lane.environment for shard in shards[:4]) == ["A", "A", "B", "B"]


def test_an_environment_is_not_taken_on_for_the_last_plays() -> None:
    """To get it would take longer; what nobody plays is taken on, however little it is."""
    driver = _over({"A": 10})
    driver.joined("a", 1, ["A"])
    driver.joined("idle", 1, ["B"])
    assert {shard.machine for shard in driver.next_shards()} == {"a"}
    driver.left("a", "it died")
    assert {(shard.machine, shard.lane.environment) for shard in driver.next_shards()} == {("idle", "A")}


def test_a_machine_that_cannot_have_an_environment_is_not_asked_again() -> None:
    """Its plays go to others and none is blamed; if there is no other, the driver says that it is stuck."""
    driver = _over({"A": 30})
    driver.joined("bad", 1)
    for _ in range(3):
        for shard in driver.next_shards():
            driver.shard_begun(shard.number)
            driver.refused(shard.number, "no room on its disk")
    assert driver.next_shards() == []
    assert driver.is_stuck
    assert driver.losses == 0
    driver.joined("good", 1)
    assert not driver.is_stuck
    assert set(_all(driver)) == {("good", "A")}
    assert driver.given_up() == []


def test_a_copy_goes_to_a_machine_that_has_the_environment() -> None:
    """Another one would only be ready when all is over."""
    driver = _over({"A": 1})
    driver.joined("slow", 1, ["A"])
    (shard,) = driver.next_shards()
    driver.joined("other", 1, ["B"])
    assert driver.next_shards() == []
    driver.joined("same", 1, ["A"])
    assert [(one.machine, one.plays) for one in driver.next_shards()] == [("same", shard.plays)]
