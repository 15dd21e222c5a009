"""This package beside its peers, in one run: `python -m benchmarks.compare`. See README.md."""
