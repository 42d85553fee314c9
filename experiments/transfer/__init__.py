"""Weights go from teachers to students of other architectures, without data or training (arXiv 2212.13970).

    python -m experiments.transfer [--preset NAME] [--data NAME] [--out DIR] [--seed N] [--resume]

Teachers are trained on most of the training pictures, students on the few others, to tell the same classes apart. Each
student begins at random, or with the weights of a teacher, transferred by jaxevo or by what it is compared with.
Optimiser and rate are chosen on valid for random beginnings, and are the same for all methods. The gain is the best
accuracy in the first epochs over that of random beginnings.
"""
