"""Channels: what they answer for each class, how that is scored, which ones go, and how they are taken out."""
