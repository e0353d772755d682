"""Phantoms: drawn thorax slices, and a generator that leaks some of those that it was given."""

from fingerprint.phantoms._generator import CHANGES, Demo, demo, generate, thorax, write_demo

__all__ = ["CHANGES", "Demo", "demo", "generate", "thorax", "write_demo"]
