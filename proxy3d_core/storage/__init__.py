"""Saved maps: a folder with a versioned JSON file and a safetensors file."""

from proxy3d_core.storage.maps import SavedMap, Scene, check_target, inside, load_map, save_map

__all__ = ["SavedMap", "Scene", "check_target", "inside", "load_map", "save_map"]
