"""The ImageCLEFmedical GANs challenge: folder layouts of its editions, run files, and their scores."""

from fingerprint.challenge._run_files import EDITIONS, RunError, check_run, read_run, run_id, write_run
from fingerprint.challenge._task import Answer, Layout, answer, layout, score_run

__all__ = [
    "EDITIONS",
    "Answer",
    "Layout",
    "RunError",
    "answer",
    "check_run",
    "layout",
    "read_run",
    "run_id",
    "score_run",
    "write_run",
]
