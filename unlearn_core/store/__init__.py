"""The run store: folders, records, index, progress and locks. No torch, no network."""
