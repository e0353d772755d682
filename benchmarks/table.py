"""Turn runs of the benchmarks into the table of the README.

    pytest benchmarks --benchmark-enable --benchmark-json=run.json
    pytest benchmarks --benchmark-enable --benchmark-json=avx2.json --features avx2
    python benchmarks/table.py run.json [avx2.json …] [--page README.md]

The first run gives the times. Further ones, on the same machine restricted to a lesser processor, give how many times
as fast as the peer each is there. With --page the table between the two marks of that file is replaced, as by the other
commands here that make tables.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path


def table(runs: list[dict]) -> str:
    """Return the table, with one row for each benchmark that has a peer; variants against each other are left out."""
    names = [run["machine_info"]["features"] for run in runs]
    lines = [
        "| work | fingerprint | peer | " + " | ".join(f"times as fast: {name}" for name in names) + " |",
        "|---|---|---|" + "---|" * len(runs),
    ]
    ratios = [{one["name"]: one["extra_info"].get("ratio") for one in run["benchmarks"]} for run in runs]
    for result in runs[0]["benchmarks"]:
        info, median = result["extra_info"], result["stats"]["median"]
        if "ratio" in info and ("work" in info or "[" not in result["name"]):
            metric = result["name"].removeprefix("test_").split("_against_")[0]
            found = [ratio.get(result["name"]) for ratio in ratios]
            cells = ["" if one is None else f"{one:.3g}" for one in found]
            work = info.get("work", f"{metric} distances")
            peer = f"{info['peer']}, {seconds(info['theirs'])}"
            lines.append(f"| {work} | {seconds(median)} | {peer} | {' | '.join(cells)} |")
    machine = runs[0]["machine_info"]
    lines += ["", f"{machine['cpu'].get('brand_raw', machine['machine'])}, Python {machine['python_version']}."]
    return "\n".join(lines)


def seconds(value: float) -> str:
    """Return a duration with three digits and a unit that suits it."""
    return f"{value:.3g} s" if value >= 1 else f"{1e3 * value:.3g} ms"


def main() -> None:
    """Print the table, or put it into the README."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--page", type=Path)
    options = parser.parse_args()
    publish(options.page, "speed", table([json.loads(run.read_text()) for run in options.runs]))


def parted(page: Path, mark: str) -> tuple[str, str, str]:
    """Return what a page has before the marks, between them, and after."""
    begin, end = f"<!-- {mark} -->", f"<!-- /{mark} -->"
    before, found, rest = page.read_text(encoding="utf-8").partition(begin)
    inside, closed, after = rest.partition(end)
    if not (found and closed):
        raise SystemExit(f"{page} has no {begin} … {end}")
    return before + begin, inside.strip(), end + after


def between(page: Path, mark: str) -> str:
    """Return the table between the marks of a page."""
    return parted(page, mark)[1]


def publish(page: Path | None, mark: str, text: str) -> None:
    """Put a table between the marks of a page, or print it where there is none."""
    if page is None:
        print(text)
        return
    before, _, after = parted(page, mark)
    page.write_text(f"{before}\n{text}\n{after}", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
