"""What may begin now: a pure function of a scenario and of its progress."""
