"""Training: the optimizer, the training step, and the loop that keeps a run up to date."""
