"""Membership: can an attacker tell from a model's answers which images it was trained on?"""
