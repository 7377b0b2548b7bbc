"""Data sets: their files and mirrors, pictures, and batches."""
