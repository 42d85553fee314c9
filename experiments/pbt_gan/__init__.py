"""Generators and discriminators whose architectures mix while they train (PBT-NAS, arXiv 2307.15621).

    python -m experiments.pbt_gan [--preset NAME] [--data NAME] [--features FILE] [--out DIR] [--seed N] [--resume]

Trains populations of generative adversarial networks by PBT-NAS and by its baselines with the same budget, all from the
same members. What methods share, members whose places were not taken yet, is trained once for all of them on CPUs,
with the same bits. Fitness is a Fréchet distance with the features of a classifier that is trained here on the same
data; it is not FID, whose Inception network does not come with any package; `--features` takes that one, or any other,
as ONNX. Members are scored on valid; the best of each step is scored on test, of which the searches know nothing.
"""
