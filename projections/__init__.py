"""The read side: what the journal says about jobs, folded for those who ask."""
