"""What one pass over synthetic images leaves behind about real ones: scales, whitening, Findings, engine."""
