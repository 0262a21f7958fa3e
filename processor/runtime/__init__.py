"""How does it move? Written against ports alone."""
