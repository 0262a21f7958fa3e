"""What do the demo, the chaos and the bench stand on: a place of their own, and processes."""
