"""The Bird lab: made birds, of which the right answer is known."""
