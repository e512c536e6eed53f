"""The verbs of a workload, in groups; importing this package declares them all and never imports torch."""

from harness.rank.steps import flow, octets, rendezvous, store, store_settings, torch_distributed, wall_clock
from harness.rank.steps.base import STEPS

__all__ = ["STEPS", "flow", "octets", "rendezvous", "store", "store_settings", "torch_distributed", "wall_clock"]
