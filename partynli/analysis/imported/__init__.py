"""Tables of answers that others collected, CSV or parquet, made into a run: see `import_tables`."""

from partynli.analysis.imported.load import Imported, import_tables
from partynli.analysis.imported.participants import Cast
from partynli.analysis.imported.rows import ODD, Odd

__all__ = ["ODD", "Cast", "Imported", "Odd", "import_tables"]
