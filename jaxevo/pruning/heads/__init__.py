"""Sparse heads on frozen features: small dense networks whose units or connections may be left out."""
