"""Beside the node: evaluation on the field's benchmarks, simulated rooms, training. Imports proxy3d_core only."""

__version__ = "0.1.0"
