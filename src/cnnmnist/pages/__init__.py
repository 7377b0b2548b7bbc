"""Pages that hold a run: one HTML file each, which needs no network, no server and no Python."""
