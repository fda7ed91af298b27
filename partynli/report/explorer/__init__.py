"""The explorer: a run as one HTML page that needs no network, for reading the answers behind the figures."""

from __future__ import annotations

from partynli.report.explorer.data import explorer_data
from partynli.report.explorer.document import to_html

__all__ = ["explorer_data", "to_html"]
