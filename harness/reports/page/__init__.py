"""The HTML report: the data of runs as columns, the index of all, and the one file that shows them."""
