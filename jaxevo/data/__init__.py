"""Labelled examples: embedded sets that need no network, a user's arrays, and batches of one shape."""

from jaxevo.data import augment
from jaxevo.data.batching import Batch, batches, check_batch
from jaxevo.data.loading import load
from jaxevo.data.photographs import photos
from jaxevo.data.splits import Dataset, Split, arrays, fingerprint

__all__ = [
    "Batch",
    "Dataset",
    "Split",
    "arrays",
    "augment",
    "batches",
    "check_batch",
    "fingerprint",
    "load",
    "photos",
]
