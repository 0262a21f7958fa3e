"""Does it work on real data? Every flight out of New York in 2013, each of them a job."""
