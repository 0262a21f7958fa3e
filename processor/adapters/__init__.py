"""With what is the world reached? One package per technology, behind the ports."""
