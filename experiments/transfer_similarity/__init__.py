"""Similarity of architectures against published gains of transfer (arXiv 2212.13970).

    python -m experiments.transfer_similarity --published FILE.csv [--graphs DIR] [--out DIR]

FILE.csv has a line for each pair, with the columns teacher, student (names of timm), sim (the published similarity) and
acc_ratio (accuracy with transfer over accuracy without). The architectures are made by timm with random weights and
read as graphs; for each pair similarity and coverage are computed and compared with the gain: correlations with
bootstrap intervals overall, and within students; what the teacher gains that is chosen, over the best one; and how well
gain is told from harm. The definition of both measures was chosen with a table of 67 such pairs in view: on that table
the figures are in-sample.
"""
