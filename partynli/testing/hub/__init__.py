"""A hub of datasets and models on loopback, which speaks the Hugging Face Hub's protocol as its client does.

::

    with HubServer({"hf_mine": "ada"}) as hub:
        hub.fail("commit", "server_error")
        ...  # HF_ENDPOINT=hub.url HF_TOKEN=hf_mine: publish, download
        print(hub.repositories["ada/study"].head.files)  # models are in hub.models

It knows datasets and models, and LFS, not Xet: set ``HF_HUB_DISABLE_XET=1`` for clients that have ``hf_xet`` installed
and upload by path. ``python -m partynli.testing.hub --help`` runs it by hand.
"""

from partynli.testing.hub.faults import HUB_FAULTS, HubFault, HubRequest, Step
from partynli.testing.hub.repository import Commit, Entry, Repository
from partynli.testing.hub.server import HubServer

__all__ = ["HUB_FAULTS", "Commit", "Entry", "HubFault", "HubRequest", "HubServer", "Repository", "Step"]
