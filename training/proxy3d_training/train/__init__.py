"""Training of the proxy VLM in the four stages of Proxy3D (arXiv 2605.08064, supplement, Table 1)."""
