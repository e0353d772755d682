"""Distances between whole images: metrics, the matrix of all pairs, the nearest of a stream."""
