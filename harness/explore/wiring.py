"""The parts of exploration as they are: the one place that knows all of them."""
