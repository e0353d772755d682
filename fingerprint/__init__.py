"""Which real images did a generative model train on? Evidence from the images alone."""

import logging

from fingerprint import challenge, phantoms
from fingerprint._check import InputError
from fingerprint._estimates import Estimate
from fingerprint._rank import rank
from fingerprint._version import __version__
from fingerprint.attribution import Attributed, Attribution, attribute
from fingerprint.auditing import Audit, audit
from fingerprint.comparison import Comparison, compare
from fingerprint.decisions import Decisions
from fingerprint.detector import Detector, Prediction, Predictions, fit, load_detector
from fingerprint.distance import distances
from fingerprint.evaluation import Evaluation, Measures, evaluate
from fingerprint.evidence import Evidence
from fingerprint.images import Failure, Slices, blocks, load
from fingerprint.neighbours import Nearest, nearest
from fingerprint.patches import NearestPatches, nearest_patches, patch_matches
from fingerprint.ranking import Group, Match, Ranking, Row

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
