"""SpaceSpan: questions about scenes in one format, from simulated rooms and from the public datasets."""
