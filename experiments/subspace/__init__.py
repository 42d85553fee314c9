"""A trained network is mutated sparsely and voted with its children (arXiv 2302.05832).

    python -m experiments.subspace [--preset NAME] [--parent NAME] [--data NAME] [--out DIR] [--seed N] [--resume]

Measures how strong mutations may be, dense and in parts; makes one generation of children and ensembles of them;
evolves several generations; and reports on the test split, which nothing before sees.
"""
