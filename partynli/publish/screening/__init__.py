"""What keeps a dataset from being published until somebody says that it is meant so."""
