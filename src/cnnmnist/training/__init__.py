"""Training: the optimizer, the training step, the loop that trains a run, and TensorBoard."""
