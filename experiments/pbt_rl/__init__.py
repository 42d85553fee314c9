"""Agents that see, their architectures mixed while they train: PBT-NAS with DrQ-v2 (arXiv 2307.15621, 2107.09645).

    python -m experiments.pbt_rl [--preset NAME] [--data TASK] [--out DIR] [--seed N] [--resume]

Trains populations of agents whose encoder, actor and critic make choices of their own, by PBT-NAS, by random search and
by mutations, and reports learning curves, the family tree, a drawn episode, and the best agent as checkpoint and ONNX.
A task is pendulum, gymnax:NAME (classic control and MinAtar's games) or control:DOMAIN-TASK (dm_control); all but the
first need the extra `rl`. What the published comparison needs: 12 agents, 3 million frames each (15 million on Humanoid
Run) of 84x84 pixels, three seeds, three methods, days of several GPUs each; preset `paper` has these settings.
"""
