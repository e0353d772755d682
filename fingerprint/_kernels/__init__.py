"""Every compiled function, and what they share. Imports numba, llvmlite and numpy alone."""
