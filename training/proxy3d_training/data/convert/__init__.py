"""The public datasets, read from their published layouts into the format of the samples."""
