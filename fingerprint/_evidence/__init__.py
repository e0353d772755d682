"""What one pass over synthetic images leaves behind about real ones: scales, whitening, Summary, engine."""
