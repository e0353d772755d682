"""A cluster of Dask: workers compare the real images with synthetic ones, here three processes of this machine.

On a real cluster the workers are other machines, and `client = Client("tcp://node1:8786")` is all that changes. They
read the images themselves, so that the folders have to be where they find them too.
"""

import tempfile
from pathlib import Path

from distributed import Client, LocalCluster

import fingerprint


def main() -> None:
    """Rank in the cluster, and in this process."""
    with (
        tempfile.TemporaryDirectory() as name,
        LocalCluster(n_workers=3, threads_per_worker=1, dashboard_address=None, local_directory=name) as cluster,
        Client(cluster) as client,
    ):
        folder = Path(name) / "demo"
        fingerprint.phantoms.write_demo(folder, n_used=8, n_unused=8, n_fake=60, size=64)
        ranking = fingerprint.rank(folder / "real", folder / "fake", executor=client.get_executor(), block=4)
        print(ranking)
        alone = fingerprint.rank(folder / "real", folder / "fake")
        print("the same as in one process:", ranking.to_csv() == alone.to_csv())


if __name__ == "__main__":
    main()
