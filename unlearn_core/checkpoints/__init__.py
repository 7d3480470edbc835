"""Model files: Lethe's own, and other people's, which are read with a strict allow-list and never execute anything."""
