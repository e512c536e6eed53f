"""How certain a count of repetitions is: the Wilson interval of a proportion."""

from __future__ import annotations

import math

# The 97.5th percentile of the normal distribution: two-sided, 95 %.
Z_95 = 1.959963984540054


def wilson(successes: int, trials: int, z: float = Z_95) -> tuple[float, float]:
    """The interval in which the true proportion lies with 95 % confidence, as (lowest, highest), both from 0 to 1.

    Unlike the textbook interval it stays honest at 0 of n and n of n, where tests of flakes live.
    Of no trials at all it is (0, 1).
    Raises ValueError unless 0 <= successes <= trials.
    """
    if not 0 <= successes <= trials:
        raise ValueError(f"{successes} of {trials} is no proportion")
    if trials == 0:
        return (0.0, 1.0)
    share = successes / trials
    weight = 1 + z * z / trials
    centre = (share + z * z / (2 * trials)) / weight
    spread = z / weight * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    # At the ends the exact bound is 0 or 1; rounding must not say 0.9999999.
    low = 0.0 if successes == 0 else centre - spread
    high = 1.0 if successes == trials else centre + spread
    return (low, high)


def of_n(successes: int, trials: int, what: str = "passed") -> str:
    """`18 of 20 passed (95 % interval 69.9 % to 97.2 %)`."""
    low, high = wilson(successes, trials)
    return f"{successes} of {trials} {what} (95 % interval {100 * low:.1f} % to {100 * high:.1f} %)"
