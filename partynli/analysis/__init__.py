"""From distributions to findings: tables, draws, comparisons. Arrays and records in, numbers out; prints nothing."""
