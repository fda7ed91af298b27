"""The way to what needs torch, which is imported when something is trained and not before."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

from partynli.errors import InputError

_NEEDED = ("torch", "transformers")


def require() -> None:
    """See that the extra is installed, without the seconds that loading it takes.

    Raises
    ------
    InputError
        It is not.
    """
    if lacking := [name for name in _NEEDED if find_spec(name) is None]:
        raise InputError(f"fine-tuning needs {' and '.join(lacking)}: pip install 'partynli[finetune]'")


def training() -> ModuleType:
    """The module `partynli.finetune.training.loop`; raises as `require` does."""
    require()
    return import_module("partynli.finetune.training.loop")
