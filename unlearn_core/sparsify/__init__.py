"""Making a model sparse, one file a way."""
