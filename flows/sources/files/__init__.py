"""Files as sources: CSV, JSON, Parquet, documents, archives."""
