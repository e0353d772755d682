"""Which real images did a generative model train on? Evidence from the images alone."""

import logging

from fingerprint import challenge, phantoms
from fingerprint._answers.attribute import Attributed, Attribution, attribute
from fingerprint._answers.audit import Audit, audit
from fingerprint._answers.compare import Comparison, compare
from fingerprint._answers.detector import Detector, Prediction, Predictions, fit, load_detector
from fingerprint._answers.evidence import Evidence
from fingerprint._answers.rank import rank
from fingerprint._answers.ranking import Group, Match, Ranking, Row
from fingerprint._base.checks import InputError
from fingerprint._base.version import __version__
from fingerprint._distances.distance import distances
from fingerprint._distances.neighbours import Nearest, nearest
from fingerprint._images.loading import Failure, Slices, blocks, load
from fingerprint._patches.matches import NearestPatches, nearest_patches, patch_matches
from fingerprint._statistics.decisions import Decisions
from fingerprint._statistics.evaluation import Evaluation, Measures, evaluate
from fingerprint._statistics.intervals import Estimate

logging.getLogger(__name__).addHandler(logging.NullHandler())  # silent unless the program that imports it listens

__all__ = [
    "Attributed",
    "Attribution",
    "Audit",
    "Comparison",
    "Decisions",
    "Detector",
    "Estimate",
    "Evaluation",
    "Evidence",
    "Failure",
    "Group",
    "InputError",
    "Match",
    "Measures",
    "Nearest",
    "NearestPatches",
    "Prediction",
    "Predictions",
    "Ranking",
    "Row",
    "Slices",
    "__version__",
    "attribute",
    "audit",
    "blocks",
    "challenge",
    "compare",
    "distances",
    "evaluate",
    "fit",
    "load",
    "load_detector",
    "nearest",
    "nearest_patches",
    "patch_matches",
    "phantoms",
    "rank",
]
