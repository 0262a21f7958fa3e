"""What a job is: pure values and total functions, without I/O, clock or randomness."""
