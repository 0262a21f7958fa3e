"""What is promised, and the tests that prove it."""
