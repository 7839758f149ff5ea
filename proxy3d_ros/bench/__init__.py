"""``proxy3d bench``: speed, memory and quality, measured here and now; bench/README.md says what each figure is.

Every entry of a result is ``{name: {figure: value}}``.
"""
