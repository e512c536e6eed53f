"""Makes rank processes: clones of a warm interpreter, or new interpreters."""
