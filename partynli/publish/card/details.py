"""What a person says about a dataset that cannot be read from the run, and the licences that the Hub knows."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CardDetails:
    """What a person says about the dataset; everything else in a card comes from the export."""

    repo: str | None = None
    """``user/name`` on the Hub; None for a folder that is not published yet."""
    licence: str | None = None
    """One of `LICENCES`; None where nothing was said, and nothing may be published."""
    licence_name: str | None = None
    """What the licence is called, where `licence` is ``other``."""
    licence_link: str | None = None
    """Where it can be read, where `licence` is ``other``: an address, or ``LICENSE`` in the repository."""
    languages: tuple[str, ...] = ()
    """Languages of the items, as ISO 639 codes; empty for what is known of the items or stands in the old card."""
    title: str | None = None
    authors: tuple[str, ...] = ()
    """Who made the dataset, for its citation."""
    citation: str | None = None
    """BibTeX entry to cite the dataset by; None to have one written."""

    @property
    def url(self) -> str | None:
        """Address of the dataset's page; None without a `repo`."""
        return None if self.repo is None else f"https://huggingface.co/datasets/{self.repo}"


# Ids that the Hub takes as `license` in a card, as its documentation listed them in 2026 (huggingface/hub-docs,
# docs/hub/repositories-licenses.md). `unknown` is left out: it says that nobody may do anything.
_LISTED = """
    apache-2.0 mit openrail bigscience-openrail-m creativeml-openrail-m bigscience-bloom-rail-1.0 bigcode-openrail-m
    afl-3.0 artistic-2.0 bsl-1.0 bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear c-uda cc cc0-1.0 cc-by-2.0 cc-by-2.5
    cc-by-3.0 cc-by-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nd-4.0 cc-by-nc-nd-3.0
    cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cdla-sharing-1.0 cdla-permissive-1.0
    cdla-permissive-2.0 wtfpl ecl-2.0 epl-1.0 epl-2.0 etalab-2.0 eupl-1.1 eupl-1.2 agpl-3.0 gfdl gpl gpl-2.0 gpl-3.0
    lgpl lgpl-2.1 lgpl-3.0 isc h-research intel-research lppl-1.3c ms-pl apple-ascl apple-amlr mpl-2.0 odc-by odbl
    openmdw-1.0 openmdw-1.1 openrail++ osl-3.0 postgresql ofl-1.1 ncsa unlicense zlib pddl lgpl-lr deepfloyd-if-license
    fair-noncommercial-research-license llama2 llama3 llama3.1 llama3.2 llama3.3 llama4 grok2-community gemma other
"""
LICENCES = tuple(_LISTED.split())
"""Ids of licences that the Hub knows."""
