"""Imports of large libraries, and first calls, that are interrupted: what comes after works."""

import importlib
import os
import signal
import subprocess
import sys
import threading

import pytest

from fingerprint._base.importing import whole

pytestmark = pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="no such signals here")


def test_an_interrupted_import_is_whole_all_the_same(tmp_path, monkeypatch) -> None:
    package = tmp_path / "large_library"
    package.mkdir()
    (package / "__init__.py").write_text("import large_library.part, time; time.sleep(0.5); import large_library.last")
    (package / "part.py").write_text("")
    (package / "last.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    main = threading.main_thread().ident
    threading.Timer(0.2, lambda: signal.pthread_kill(main, signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        whole("large_library")
    assert whole("large_library").last is importlib.import_module("large_library.last")


def test_a_library_that_is_not_there_is_named() -> None:
    with pytest.raises(ModuleNotFoundError, match="no_such_library"):
        whole("no_such_library")


def test_without_threads_a_library_is_imported_all_the_same(tmp_path, monkeypatch) -> None:
    def scarce(thread):
        raise RuntimeError("can't start new thread")

    (tmp_path / "small_library.py").write_text("here = 1")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(threading.Thread, "start", scarce)
    assert whole("small_library").here == 1


FIRST_CALL = """\
import signal, sys, threading
import numpy as np, fingerprint
images = np.random.default_rng(0).integers(0, 256, (12, 32, 32), np.uint8)
main = threading.main_thread().ident
threading.Timer(float(sys.argv[1]), lambda: signal.pthread_kill(main, signal.SIGINT)).start()
try:
    fingerprint.rank(images[:6], images[6:], threads=2)
    threading.Event().wait(30)
except KeyboardInterrupt:
    pass
print(len(fingerprint.rank(images[:6], images[6:], threads=2)))
"""


@pytest.mark.slow
@pytest.mark.parametrize("moment", [0.2, 0.4, 0.6, 0.8, 1.0, 1.3, 1.6, 2.0])
def test_after_an_interrupted_first_call_the_next_one_works(moment) -> None:
    command = [sys.executable, "-c", FIRST_CALL, str(moment)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ, timeout=120)
    assert done.stdout == "6\n", done.stderr
