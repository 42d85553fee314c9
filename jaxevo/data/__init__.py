"""Labelled examples: embedded sets that need no network, a user's arrays, pictures on disk, batches of one shape."""

from jaxevo.data import augment
from jaxevo.data.batching import Batch, batches, check_batch
from jaxevo.data.labels import IGNORED, are_classes, are_maps, check_classes, check_targets, check_values, counted
from jaxevo.data.loading import load
from jaxevo.data.photographs import photos
from jaxevo.data.prefetching import prefetched, rows_of_process
from jaxevo.data.recipes import IMAGENET, Recipe, crop, prepare
from jaxevo.data.sources import Encoded, Source, source
from jaxevo.data.splits import Dataset, Split, arrays, fingerprint
from jaxevo.data.streaming import stream

__all__ = [
    "IGNORED",
    "IMAGENET",
    "Batch",
    "Dataset",
    "Encoded",
    "Recipe",
    "Source",
    "Split",
    "are_classes",
    "are_maps",
    "arrays",
    "augment",
    "batches",
    "check_batch",
    "check_classes",
    "check_targets",
    "check_values",
    "counted",
    "crop",
    "fingerprint",
    "load",
    "photos",
    "prefetched",
    "prepare",
    "rows_of_process",
    "source",
    "stream",
]
