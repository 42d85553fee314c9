"""Trained networks of different architecture go in, a front of new networks comes out (arXiv 2403.14224).

    python -m experiments.stitching [--preset NAME] [--data NAME] [--out DIR] [--seed N] [--resume]

Trains the parents on an embedded data set, stitches them together, evolves the switches, and reports on the test split,
which nothing before sees.
"""
