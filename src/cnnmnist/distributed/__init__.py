"""Several processes or devices: who takes part, and what they tell each other."""
