"""Labelled examples: embedded sets that need no network, a user's arrays, and batches of one shape."""

from jaxevo.data import augment
from jaxevo.data.batching import Batch, batches, check_batch
from jaxevo.data.labels import IGNORED, are_classes, are_maps, check_classes, check_values, counted
from jaxevo.data.loading import load
from jaxevo.data.photographs import photos
from jaxevo.data.splits import Dataset, Split, arrays, fingerprint

__all__ = [
    "IGNORED",
    "Batch",
    "Dataset",
    "Split",
    "are_classes",
    "are_maps",
    "arrays",
    "augment",
    "batches",
    "check_batch",
    "check_classes",
    "check_values",
    "counted",
    "fingerprint",
    "load",
    "photos",
]
