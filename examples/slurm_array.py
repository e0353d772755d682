"""A Slurm array: each task summarises a part of the synthetic images, and a last step merges them.

`slurm_array.sh` is the script that Slurm runs. Here its tasks run one after the other, without Slurm. What they find is
what one pass over all images finds, byte for byte.
"""

import os
import subprocess
import sysconfig
import tempfile
from pathlib import Path

import fingerprint

SCRIPT = Path(__file__).with_name("slurm_array.sh")
TASKS = 3

with tempfile.TemporaryDirectory() as name:
    folder = Path(name)
    fingerprint.phantoms.write_demo(folder / "demo", n_used=8, n_unused=8, n_fake=60, size=64)
    real, fake, parts = folder / "demo" / "real", folder / "demo" / "fake", folder / "parts"

    # what Slurm does: the same script for every task, which is told its number
    command = sysconfig.get_path("scripts") + os.pathsep + os.environ["PATH"]
    slurm = {"PATH": command, "SLURM_CPUS_PER_TASK": "2", "SLURM_ARRAY_TASK_COUNT": str(TASKS)}
    for number in range(1, TASKS + 1):
        environment = os.environ | slurm | {"SLURM_ARRAY_TASK_ID": str(number)}
        subprocess.run(["bash", SCRIPT, real, fake, parts], check=True, env=environment)

    # the last step, in Python; `fingerprint merge parts/*` does the same
    whole = fingerprint.merge(sorted(parts.iterdir()))
    ranking = fingerprint.rank(real, whole)
    print(ranking)
    print("the same as in one pass:", ranking.to_csv() == fingerprint.rank(real, fake).to_csv())
