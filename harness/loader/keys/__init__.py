"""The keys of a scenario file: their types, the values they are read as, and the words of their errors."""
