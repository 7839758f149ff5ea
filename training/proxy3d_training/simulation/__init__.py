"""Furnished rooms, rendered by a ray caster (Embree) without a graphics driver: colour, depth, labels, true boxes."""
