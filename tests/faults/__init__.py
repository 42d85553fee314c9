"""Runs that are killed, starved and corrupted, and have to end as if nothing had happened."""
