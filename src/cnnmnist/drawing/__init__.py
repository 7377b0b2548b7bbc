"""A page on which one draws, and watches a run's network read."""
