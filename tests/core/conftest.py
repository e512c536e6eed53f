"""Tests of judging build their histories with the helper of the checkers' tests."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "checkers"))
