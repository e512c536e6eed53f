"""From a scenario to one Python script that shows the failure with the standard library and torch alone."""
