"""The plan of a campaign: what goes into the next shard."""

from __future__ import annotations

from harness.campaign.plan import LEAST_SECONDS, SHARD_SECONDS, UNKNOWN_SECONDS, Lane, Plan


def test_a_shard_takes_half_a_minute_on_its_machine() -> None:
    """As many plays as its worlds play in that time."""
    plan = Plan(["a"] * 10_000)
    assert plan.cut(worlds=1, machines=1) == tuple(range(int(SHARD_SECONDS / UNKNOWN_SECONDS)))
    assert len(plan.cut(worlds=4, machines=1)) == 4 * SHARD_SECONDS / UNKNOWN_SECONDS


def test_what_plays_took_says_how_many_there_are_in_a_shard() -> None:
    """Those of an earlier campaign, and those of this one."""
    plan = Plan(["slow"] * 1000 + ["quick"] * 1000, {"slow": 10.0})
    assert len(plan.cut(worlds=1, machines=1)) == 3
    for _ in range(100):
        plan.learn(5, 30.0)
    assert len(plan.cut(worlds=1, machines=1)) == 2  # a little less than 30 s each


def test_shards_become_small_at_the_end() -> None:
    """Each machine gets a part of what is left; but none that is over before it has begun."""
    plan = Plan(["a"] * 40)
    sizes = []
    while plays := plan.cut(worlds=2, machines=2):
        sizes.append(len(plays))
    assert sizes == [10, 8, 6, 5, 5, 5, 1]
    assert LEAST_SECONDS * 2 / UNKNOWN_SECONDS == 5


def test_what_has_a_result_is_sent_no_more() -> None:
    """Neither when it waits to be sent first, nor again."""
    plan = Plan(["a"] * 4)
    assert plan.record(0)
    assert not plan.record(0)
    plan.record(2)
    plan.again([2], alone=True)
    assert plan.cut(worlds=10, machines=1) == (1, 3)
    assert plan.cut(worlds=10, machines=1) == ()
    assert plan.left == 2


def test_what_was_lost_goes_first() -> None:
    """In its order; what is to be alone before it, each in a shard of its own."""
    plan = Plan(["a"] * 8, {"a": 6.0})
    assert plan.cut(worlds=1, machines=1) == (0, 1, 2, 3)
    plan.again([0, 1])
    plan.again([2, 3], alone=True)
    assert [plan.cut(worlds=1, machines=1) for _ in range(3)] == [(2,), (3,), (0, 1, 4)]


def test_a_shard_is_of_one_lane() -> None:
    """Also what is sent again, and what goes alone; a lane without plays is not open."""
    one, other = Lane("torch:2.8.0", "static"), Lane("torch:2.9.0", "static")
    plan = Plan(["a"] * 5, lanes=[one, other, one, other, other])
    assert plan.open_lanes() == [one, other]
    assert plan.cut(worlds=4, machines=1, lane=other) == (1, 3, 4)
    assert plan.open_lanes() == [one]
    assert plan.cut(worlds=4, machines=1, lane=one) == (0, 2)
    plan.again([3, 1])
    plan.again([2], alone=True)
    assert plan.cut(worlds=4, machines=1, lane=one) == (2,)
    assert plan.cut(worlds=4, machines=1, lane=other) == (3, 1)
    assert plan.open_lanes() == []


def test_how_long_a_lane_takes_is_told_without_what_has_its_result() -> None:
    """So that no machine makes itself ready for nothing."""
    lane = Lane("torch:2.8.0", "static")
    plan = Plan(["a"] * 4, {"a": 6.0}, [lane] * 4)
    assert plan.takes(lane, 24)
    assert not plan.takes(lane, 25)
    plan.record(1)
    assert not plan.takes(lane, 24)
