"""YAML as a tree of nodes with positions, the cells of its matrix, and the problems of the file."""
