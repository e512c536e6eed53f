"""Many plays: a source of cells, a pool of controllers, and the loop between them."""
