"""How rank processes are made: cloned from a warm interpreter, or new ones."""
