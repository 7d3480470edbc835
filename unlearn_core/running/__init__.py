"""Running things: jobs and their processes, the command line, estimates and sets of runs."""
