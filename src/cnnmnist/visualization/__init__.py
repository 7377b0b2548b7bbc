"""Figures: grids of images, charts, the architecture of a network, and movies."""
