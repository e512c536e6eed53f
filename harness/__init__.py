"""A fault-injection harness for PyTorch's static TCP rendezvous."""

__version__ = "0.1.0"
