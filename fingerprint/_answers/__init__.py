"""One file a question, with the class of its result: rank, fit, audit, compare, attribute; pictures and the report."""
