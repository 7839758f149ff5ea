"""The proxy VLM: a language model that reads 3D proxies where others read image tokens (Proxy3D, arXiv 2605.08064).

``vlm.model`` is the model, ``vlm.config`` its sizes, ``vlm.loading`` brings both from a folder or the hub,
``vlm.prompt`` lays out system, scene and question, ``vlm.prefix`` answers many questions on one scene and
``vlm.packing`` trains on them. torch and transformers are imported by these modules only, never by this package.
"""
