"""Distances between whole images: the table of metrics, the matrix of all pairs, the nearest of a stream."""
