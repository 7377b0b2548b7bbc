"""Runs: their directories, metadata, metrics, checkpoints and snapshots."""
