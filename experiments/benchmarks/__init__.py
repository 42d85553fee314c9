"""Benchmarks: every alternative in one run on the same work, `python -m experiments.benchmarks.NAME [--out DIR]`."""
