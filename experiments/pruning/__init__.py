"""Sparse heads on frozen features: accurate, small and robust at once (arXiv 2302.10253).

    python -m experiments.pruning [--preset NAME] [--backbone NAME] [--data NAME] [--published FILE] [--out DIR]
                                  [--seed N] [--resume]

Computes the features of a backbone once, evolves which units of a head are active, each head trained with early
stopping on valid, and reports the front, random search with the same budget and ensembles on the test split, which
nothing before sees. What is not of the distribution are classes held out of the head's own data, and another data set.
"""
