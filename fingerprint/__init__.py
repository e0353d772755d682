"""Which real images did a generative model train on? Evidence from the images alone."""

import logging
from importlib import import_module
from typing import TYPE_CHECKING

from fingerprint._base.version import __version__ as __version__

logging.getLogger(__name__).addHandler(logging.NullHandler())  # silent unless the program that imports it listens

# what is public, by the module that it comes from; a name is loaded on its first use, which keeps the import light
_EXPORTS = {
    "_answers.attribute": ("Attributed", "Attribution", "attribute"),
    "_answers.audit": ("audit",),
    "_answers.audit_scores": ("Audit", "audit_scores"),
    "_answers.check": ("Check", "check"),
    "_answers.compare": ("Comparison", "compare"),
    "_answers.detector": ("Detector", "Prediction", "Predictions", "fit", "load_detector"),
    "_answers.estimator": ("DetectorClassifier", "statistics"),
    "_answers.evidence": ("Evidence",),
    "_answers.findings": ("Finding",),
    "_answers.planted": ("Planted",),
    "_answers.rank": ("METHODS", "rank"),
    "_answers.ranking": ("Ranking",),
    "_answers.rows": ("Group", "Match", "Rectangle", "Row"),
    "_answers.withheld": ("GivenAway", "Withheld", "WithheldImage"),
    "_answers.summarise": ("summarise",),
    "_answers.stream": ("Stream",),
    "_answers.summary": ("Summary", "merge"),
    "_base.checks": ("InputError",),
    "_base.failures": ("Failure",),
    "_base.provenance": ("Provenance",),
    "_base.version": ("__version__",),
    "_distances.distances": ("distances",),
    "_distances.nearest": ("Nearest", "NearestImages", "Neighbour", "nearest"),
    "_images.loading": ("blocks", "load"),
    "_images.slices": ("Slices",),
    "_patches.gains": ("GainMap",),
    "_patches.match_search": ("PatchSearch",),
    "_patches.matches": ("MatchedPatches", "NearestPatches", "PatchMatch", "nearest_patches", "patch_matches"),
    "_statistics.copies": ("Copy",),
    "_statistics.data_copying": ("Copying", "CopyingCell", "data_copying"),
    "_statistics.decisions": ("Decision", "Decisions"),
    "_statistics.evaluation": ("Evaluation", "Measures", "evaluate"),
    "_statistics.intervals": ("Estimate",),
    "challenge": ("challenge",),
    "phantoms": ("phantoms",),
}
_HOMES = {name: module for module, names in _EXPORTS.items() for name in names}
__all__ = sorted(_HOMES)

if TYPE_CHECKING:
    from fingerprint import challenge as challenge
    from fingerprint import phantoms as phantoms
    from fingerprint._answers.attribute import Attributed as Attributed
    from fingerprint._answers.attribute import Attribution as Attribution
    from fingerprint._answers.attribute import attribute as attribute
    from fingerprint._answers.audit import audit as audit
    from fingerprint._answers.audit_scores import Audit as Audit
    from fingerprint._answers.audit_scores import audit_scores as audit_scores
    from fingerprint._answers.check import Check as Check
    from fingerprint._answers.check import check as check
    from fingerprint._answers.compare import Comparison as Comparison
    from fingerprint._answers.compare import compare as compare
    from fingerprint._answers.detector import Detector as Detector
    from fingerprint._answers.detector import Prediction as Prediction
    from fingerprint._answers.detector import Predictions as Predictions
    from fingerprint._answers.detector import fit as fit
    from fingerprint._answers.detector import load_detector as load_detector
    from fingerprint._answers.estimator import DetectorClassifier as DetectorClassifier
    from fingerprint._answers.estimator import statistics as statistics
    from fingerprint._answers.evidence import Evidence as Evidence
    from fingerprint._answers.findings import Finding as Finding
    from fingerprint._answers.planted import Planted as Planted
    from fingerprint._answers.rank import METHODS as METHODS
    from fingerprint._answers.rank import rank as rank
    from fingerprint._answers.ranking import Ranking as Ranking
    from fingerprint._answers.rows import Group as Group
    from fingerprint._answers.rows import Match as Match
    from fingerprint._answers.rows import Rectangle as Rectangle
    from fingerprint._answers.rows import Row as Row
    from fingerprint._answers.stream import Stream as Stream
    from fingerprint._answers.summarise import summarise as summarise
    from fingerprint._answers.summary import Summary as Summary
    from fingerprint._answers.summary import merge as merge
    from fingerprint._answers.withheld import GivenAway as GivenAway
    from fingerprint._answers.withheld import Withheld as Withheld
    from fingerprint._answers.withheld import WithheldImage as WithheldImage
    from fingerprint._base.checks import InputError as InputError
    from fingerprint._base.failures import Failure as Failure
    from fingerprint._base.provenance import Provenance as Provenance
    from fingerprint._distances.distances import distances as distances
    from fingerprint._distances.nearest import Nearest as Nearest
    from fingerprint._distances.nearest import NearestImages as NearestImages
    from fingerprint._distances.nearest import Neighbour as Neighbour
    from fingerprint._distances.nearest import nearest as nearest
    from fingerprint._images.loading import blocks as blocks
    from fingerprint._images.loading import load as load
    from fingerprint._images.slices import Slices as Slices
    from fingerprint._patches.gains import GainMap as GainMap
    from fingerprint._patches.match_search import PatchSearch as PatchSearch
    from fingerprint._patches.matches import MatchedPatches as MatchedPatches
    from fingerprint._patches.matches import NearestPatches as NearestPatches
    from fingerprint._patches.matches import PatchMatch as PatchMatch
    from fingerprint._patches.matches import nearest_patches as nearest_patches
    from fingerprint._patches.matches import patch_matches as patch_matches
    from fingerprint._statistics.copies import Copy as Copy
    from fingerprint._statistics.data_copying import Copying as Copying
    from fingerprint._statistics.data_copying import CopyingCell as CopyingCell
    from fingerprint._statistics.data_copying import data_copying as data_copying
    from fingerprint._statistics.decisions import Decision as Decision
    from fingerprint._statistics.decisions import Decisions as Decisions
    from fingerprint._statistics.evaluation import Evaluation as Evaluation
    from fingerprint._statistics.evaluation import Measures as Measures
    from fingerprint._statistics.evaluation import evaluate as evaluate
    from fingerprint._statistics.intervals import Estimate as Estimate
else:

    def __getattr__(name):
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        home = import_module(f"{__name__}.{_HOMES[name]}")
        return globals().setdefault(name, home if _HOMES[name] == name else getattr(home, name))

    def __dir__():
        return __all__
