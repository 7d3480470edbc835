"""Kinds of background runs, one file each; command line, repeat command, worker, words and estimate follow from `KINDS`."""
