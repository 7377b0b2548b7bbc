"""Training in several processes or on several devices: the workers, and their messages."""
