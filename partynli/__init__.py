"""Label and explanation variation from language models, treated as participants of an annotation study."""

__version__ = "0.1.0"
