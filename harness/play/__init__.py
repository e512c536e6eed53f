"""One play: a scenario becomes a history, with real processes, real connections and faults."""
