"""Networks for ImageNet on pictures that are streamed from disk: one program for each job, made for batch systems.

    python -m experiments.imagenet.evaluate --network NETWORK --data DATA [--mesh 1xDATA] [--out DIR] [--resume]
    python -m experiments.imagenet.stitch --network NETWORK --network NETWORK --data DATA ...
    python -m experiments.imagenet.subspace --network NETWORK --data DATA ...
    python -m experiments.imagenet.prune --network NETWORK --data DATA ...
    python -m experiments.imagenet.transfer --network NETWORK --student flax:NAME --data DATA ...
    python -m experiments.imagenet.cost
    python -m experiments.imagenet.sample --out DIR

Networks are torch:timm/NAME, torch:efficientnet-lite0 (to 2), onnx:PATH and flax:NAME of the zoo, perhaps with
@CHECKPOINT; data are tfds:NAME, folder:PATH and npz:PATH. `evaluate` scores a network on every picture of a split and
says how much of the network's speed its pipeline reaches; `stitch`, `subspace`, `prune` and `transfer` run a system on
a bounded number of pictures of each split; `cost` prints what the paper's settings take; `sample` writes a small set of
photographs to try them on. How to start them on one machine and on many: `launch.md` beside this file.
"""
