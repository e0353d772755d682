"""What this process may use: cores and memory, as its container, its limits and the machine allow."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING

from fingerprint._base.checks import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROOT = Path("/")
_V2, _V1 = "sys/fs/cgroup", "sys/fs/cgroup/{controller}"  # where the two versions of control groups are mounted
_LEAST = 2**30  # bytes of address space in which the compiler and the libraries fit
_UNLIMITED = 2**60  # the first version says a number as large where there is no limit


def cores(root: Path = _ROOT) -> int:
    """Return how many threads can compute at once: by affinity, and by the quota of the container.

    Parameters
    ----------
    root : path
        Where the files of the system are.

    Returns
    -------
    int
        At least 1. A quota of one and a half cores counts as two.
    """
    quotas = [_number(folder / "cpu.cfs_quota_us", folder / "cpu.cfs_period_us") for folder in _groups("cpu", root)]
    for folder in _groups("", root):
        quota, _, period = _text(folder / "cpu.max").partition(" ")
        quotas.append(int(quota) / int(period) if quota.isdigit() and period.strip().isdigit() else None)
    return min([_allowed(), *(math.ceil(quota) for quota in quotas if quota)])


def _allowed() -> int:
    """Return the number of cores on which this process may run."""
    if hasattr(os, "process_cpu_count"):  # from Python 3.13 on
        return os.process_cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def available_memory(root: Path = _ROOT) -> int | None:
    """Return how many more bytes this process can take; None where the system does not tell.

    Parameters
    ----------
    root : path
        Where the files of the system are.

    Returns
    -------
    int or None
        The least of what the machine has to spare, what the container leaves, and what the limits of this process do.
    """
    found = [_machine(root), *_containers(root), *_limits(root)]
    return min((max(0, left) for left in found if left is not None), default=None)


def check_address_space() -> None:
    """Raise InputError where the limit of this process is too small to load the compiler, which would abort."""
    try:
        import resource
    except ImportError:  # Windows has none
        return
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit != resource.RLIM_INFINITY and limit < _LEAST:
        raise InputError(
            f"memory: expected at least {_LEAST >> 20} MiB of address space for the compiler and libraries, found a "
            f"limit of {limit >> 20} MiB; raise it (ulimit -v), or bound what is used by memory= instead"
        )


def _machine(root: Path) -> int | None:
    """Return what the machine has to spare."""
    for line in _text(root / "proc/meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            return 1024 * int(line.split()[1])
    names = getattr(os, "sysconf_names", {})  # macOS says only how much there is
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if "SC_PHYS_PAGES" in names else None


def _containers(root: Path) -> Iterator[int | None]:
    """Yield what each control group around this process leaves; cached files make way."""
    for controller, most, used, cached in (
        ("", "memory.max", "memory.current", "inactive_file"),
        ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        for folder in _groups(controller, root):
            limit, usage = _number(folder / most), _number(folder / used)
            if limit is not None and usage is not None and limit < _UNLIMITED:
                files = [
                    line.split()[1] for line in _text(folder / "memory.stat").splitlines() if line.startswith(cached)
                ]
                yield int(limit - usage) + int(files[0] if files else 0)


def _limits(root: Path) -> Iterator[int]:
    """Yield what the limits of address space and data of this process leave."""
    try:
        import resource
    except ImportError:  # Windows has none
        return
    sizes = _text(root / "proc/self/statm").split()
    for name, column in (("RLIMIT_AS", 0), ("RLIMIT_DATA", 5)):
        limit = resource.getrlimit(getattr(resource, name))[0] if hasattr(resource, name) else resource.RLIM_INFINITY
        if limit != resource.RLIM_INFINITY:
            yield limit - (int(sizes[column]) * resource.getpagesize() if len(sizes) > column else 0)


def _groups(controller: str, root: Path) -> Iterator[Path]:
    """Yield the folders of the control groups of this process, from its own up to the outermost that it sees.

    `controller` is one of the first version; the second has one tree for all.
    """
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controller in controllers.split(","):
            top = root / (_V1.format(controller=controller) if controller else _V2)
            own = top / path.lstrip("/")
            yield own
            yield from (folder for folder in own.parents if folder.is_relative_to(top))


def _number(path: Path, divisor: Path | None = None) -> float | None:
    """Return the number in a file, over that in another; None where there is none."""
    text, over = _text(path).strip(), "1" if divisor is None else _text(divisor).strip()
    return int(text) / int(over) if text.isdigit() and over.isdigit() and int(over) else None


def _text(path: Path) -> str:
    """Return what a file of the system says; nothing where there is no such file."""
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
