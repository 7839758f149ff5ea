"""The live scene state and the immutable snapshots that are taken of it."""
