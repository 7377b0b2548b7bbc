"""The digits: their file format, where they come from, and how they become batches."""
