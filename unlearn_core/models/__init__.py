"""Networks: which there are, what their input needs, how they are run, trained and sized."""
