"""The verbs of a workload, in groups; importing this package declares them all and never imports torch."""

from harness.rank.steps import flow, rendezvous, store, torch_distributed
from harness.rank.steps.base import STEPS

__all__ = ["STEPS", "flow", "rendezvous", "store", "torch_distributed"]
