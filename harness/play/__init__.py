"""The order of the arrows: `play` a scenario into a history, `judge` the history into a judgement."""
