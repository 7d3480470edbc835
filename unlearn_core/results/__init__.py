"""What a run found: evaluations, how close they come to retraining, and the sentences that they bear out."""
