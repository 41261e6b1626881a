INDEXES: dict[str, str] = {}
