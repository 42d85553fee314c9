"""Weights on their way along an alignment: what is copied, what is set, and how one tensor becomes another."""
