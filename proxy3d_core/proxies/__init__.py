"""3D proxies: a fixed number of features with positions that stand for all that was seen."""

from proxy3d_core.proxies.cluster import cluster_proxies

__all__ = ["cluster_proxies"]
