"""The HTML report in a real browser; a package, so that the browser ends when its last test on a worker has."""
