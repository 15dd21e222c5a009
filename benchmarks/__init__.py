"""What this package costs, and its peers beside it: `python -m benchmarks`. See README.md."""
