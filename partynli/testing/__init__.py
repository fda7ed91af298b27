"""Doubles that ship with the package: a real server on loopback that speaks the providers' protocols.

Test your own registry against it: give its address as `api_base`, and let models be slow, limited, or fail::

    async with LoopbackServer({"m": Behaviour(rps=2, fault_share=0.1, faults=("hang", "cut"))}) as server:
        ...  # call server.url
        print(server.books["m"].answered)

`LoopbackProcess` is the same in a process of its own; ``python -m partynli.testing.server --help`` runs it by hand.
"""

from partynli.testing.batch_behaviour import BATCH_FAULTS, BatchBehaviour, BatchFault
from partynli.testing.behaviour import FAULTS, Behaviour, Fault, Setup
from partynli.testing.books import Books, Tally
from partynli.testing.loopback import LoopbackServer
from partynli.testing.process import LoopbackProcess

__all__ = [
    "BATCH_FAULTS",
    "FAULTS",
    "BatchBehaviour",
    "BatchFault",
    "Behaviour",
    "Books",
    "Fault",
    "LoopbackProcess",
    "LoopbackServer",
    "Setup",
    "Tally",
]
