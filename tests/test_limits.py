"""What a process may use: cores and memory, from files of a system that the tests write."""

import os
import subprocess
import sys

import pytest

from fingerprint._base import limits

MIB = 2**20


@pytest.fixture
def system(tmp_path, monkeypatch):
    """Give a function that writes the files of a system of 8 cores, in which this process has no limits of its own."""
    monkeypatch.setattr(limits, "_allowed", lambda: 8)
    monkeypatch.setattr(limits, "_limits", lambda _: [])

    def write(**files):
        for name, text in files.items():
            path = tmp_path / name.replace("__", "/").replace("_DOT_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return write


@pytest.mark.parametrize(
    ("quota", "cores"),
    [
        ("200000 100000", 2),
        ("150000 100000", 2),
        ("50000 100000", 1),
        ("max 100000", 8),
        ("9900000 100000", 8),
        ("", 8),
    ],
)
def test_the_quota_of_a_container_limits_the_cores(system, quota, cores):
    assert limits.cores(system(proc__self__cgroup="0::/\n", sys__fs__cgroup__cpu_DOT_max=quota)) == cores


def test_the_narrowest_of_nested_groups_counts(system):
    root = system(
        proc__self__cgroup="0::/pod/box\n",
        sys__fs__cgroup__pod__cpu_DOT_max="300000 100000",
        sys__fs__cgroup__pod__box__cpu_DOT_max="max 100000",
        sys__fs__cgroup__other__cpu_DOT_max="100000 100000",
    )
    assert limits.cores(root) == 3


@pytest.mark.parametrize(("quota", "cores"), [("400000", 4), ("-1", 8)])
def test_the_first_version_of_control_groups(system, quota, cores):
    folder = "sys__fs__cgroup__cpu__"
    files = {f"{folder}cpu_DOT_cfs_quota_us": quota, f"{folder}cpu_DOT_cfs_period_us": "100000"}
    assert limits.cores(system(proc__self__cgroup="4:memory:/m\n1:cpu,cpuacct:/docker/abc\n", **files)) == cores


def test_without_the_files_of_linux_the_affinity_counts(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "_allowed", lambda: 8)
    assert limits.cores(tmp_path) == 8


def test_memory_is_what_the_machine_has_to_spare(system):
    assert limits.available_memory(system(proc__meminfo="MemTotal: 4096 kB\nMemAvailable:   2048 kB\n")) == 2 * MIB


def test_memory_is_what_the_container_leaves_and_cached_files_make_way(system):
    root = system(
        proc__meminfo=f"MemAvailable: {64 * 1024} kB\n",
        proc__self__cgroup="0::/box\n",
        sys__fs__cgroup__box__memory_DOT_max=str(32 * MIB),
        sys__fs__cgroup__box__memory_DOT_current=str(20 * MIB),
        sys__fs__cgroup__box__memory_DOT_stat=f"anon 5\ninactive_file {4 * MIB}\n",
    )
    assert limits.available_memory(root) == 16 * MIB
    (root / "sys/fs/cgroup/box/memory.max").write_text("max\n")
    assert limits.available_memory(root) == 64 * MIB


def test_memory_of_the_first_version_of_control_groups(system):
    root = system(
        proc__self__cgroup="9:memory:/\n0::/\n",
        sys__fs__cgroup__memory__memory_DOT_limit_in_bytes=str(32 * MIB),
        sys__fs__cgroup__memory__memory_DOT_usage_in_bytes=str(40 * MIB),
    )
    assert limits.available_memory(root) == 0
    (root / "sys/fs/cgroup/memory/memory.limit_in_bytes").write_text("9223372036854771712\n")
    assert limits.available_memory(root) == limits._machine(root)


def test_the_limit_of_address_space_counts(tmp_path, monkeypatch):
    resource = pytest.importorskip("resource")
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/statm").write_text("1000 1 1 1 0 500 0\n")
    (tmp_path / "proc/meminfo").write_text(f"MemAvailable: {2**30} kB\n")
    page, bounds = resource.getpagesize(), {resource.RLIMIT_AS: 1500, resource.RLIMIT_DATA: 1200}
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (page * bounds[kind], resource.RLIM_INFINITY))
    assert limits.available_memory(tmp_path) == 500 * page
    bounds[resource.RLIMIT_DATA] = 600
    assert limits.available_memory(tmp_path) == 100 * page


def test_too_little_address_space_for_the_compiler_is_one_line():
    pytest.importorskip("resource")
    code = """
import resource, fingerprint
resource.setrlimit(resource.RLIMIT_AS, (2**29, 2**29))
try:
    fingerprint.rank("no real", "no fake")
except fingerprint.InputError as error:
    assert str(error).startswith("memory: expected at least 1024 MiB of address space"), error
    assert "found a limit of 512 MiB" in str(error)
    raise SystemExit(7)
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stderr) == (7, "")


def test_this_machine_has_cores_and_memory():
    assert 1 <= limits.cores() <= (os.cpu_count() or 1)
    assert limits.available_memory() is None or limits.available_memory() > 0
