"""Simulated venues: a seeded market that knows the truth, servers over it, and the clocks to run them by."""
