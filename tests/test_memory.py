"""Memory as the kernels take it."""

import threading

import numpy as np

from fingerprint._kernels.memory import Workspace


def test_a_workspace_gives_the_same_array_again_where_it_fits():
    space = Workspace()
    first = space.array("a", (4, 3), np.int32)
    first[:] = 7
    again = space.array("a", (2, 3), np.int32)
    assert np.shares_memory(first, again)
    assert again.tolist() == [[7, 7, 7], [7, 7, 7]]
    assert not np.shares_memory(first, space.array("b", (4, 3), np.int32))
    assert space.array("a", (5, 3), np.int32).shape == (5, 3)
    assert space.array("a", (2, 4), np.int32).shape == (2, 4)


def test_every_thread_has_arrays_of_its_own():
    space, found = Workspace(), []
    mine = space.array("a", (4, 3), np.int32)
    thread = threading.Thread(target=lambda: found.append(space.array("a", (4, 3), np.int32)))
    thread.start()
    thread.join()
    assert not np.shares_memory(mine, found[0])
