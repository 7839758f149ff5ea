"""Benchmarks: their questions, their exact scoring rules, baselines, and `proxy3d eval`."""
