"""Spatial questions: understood as small programs, computed on a snapshot."""
