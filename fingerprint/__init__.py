"""Which real images did a generative model train on? Evidence from the images alone."""

__all__ = ["InputError", "__version__"]

from fingerprint._check import InputError

__version__ = "0.1.0"
