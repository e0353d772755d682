"""Local patches: where a part of a synthetic image matches a part of a real one."""
