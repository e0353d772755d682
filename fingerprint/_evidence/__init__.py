"""What one pass over the synthetic images leaves behind: scales, whitening, the Summary, the engine."""
