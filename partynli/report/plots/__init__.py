"""Figures of findings, as PNG, SVG and PDF. One module a family; all of them need the extra `plots`.

Each family has two kinds of functions: ``plot_...`` draws numbers of `partynli.analysis`, and ``..._figure`` takes a
`Subject`, has the numbers computed, and draws them. `catalogue` lists the latter by name.
"""
