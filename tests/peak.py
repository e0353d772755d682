"""Print the most memory that this process has taken, in bytes, after a search of drawn noise; run by test_budget.py."""

import json
import sys
from pathlib import Path

import numpy as np


def peak():
    """Return the most that was resident; that of `resource` would include the parent before it became this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


def main():
    import fingerprint

    asked = json.loads(sys.argv[1])
    rng, shape, dtype = np.random.default_rng(0), tuple(asked["shape"]), np.dtype(asked["dtype"])

    def noise(count):
        return rng.integers(0, np.iinfo(dtype).max, (count, *shape), dtype)

    real = noise(asked["real"])
    stream = (noise(1) for _ in range(asked["fake"]))
    found = getattr(fingerprint, asked["question"])(real, stream, **asked["options"])
    json.dump({"peak": peak(), "found": found.to_csv()}, sys.stdout)


if __name__ == "__main__":
    main()
