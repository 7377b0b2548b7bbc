"""Figures: grids of images, charts, diagrams of networks, and movies."""
