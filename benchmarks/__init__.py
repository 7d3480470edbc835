"""Measured claims, one command each: `python -m benchmarks.NAME`. Results lie as JSON in `benchmarks/results`."""
