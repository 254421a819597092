"""Datasets, training, and model files with their cards. Knows nothing of HTTP."""
