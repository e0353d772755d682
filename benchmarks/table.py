"""Turn a run of the benchmarks into the table of the README.

    pytest benchmarks --benchmark-enable --benchmark-json=run.json
    python benchmarks/table.py run.json [--page README.md]

With --page the table between the two marks of that file is replaced, as by the other commands here that make tables.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path


def table(run: dict) -> str:
    """Return the table, with one row for each benchmark that has a peer; variants against each other are left out."""
    machine = run["machine_info"]
    lines = ["| work | fingerprint | peer | times as fast |", "|---|---|---|---|"]
    for result in run["benchmarks"]:
        info, median = result["extra_info"], result["stats"]["median"]
        if "ratio" in info and ("work" in info or "[" not in result["name"]):
            metric = result["name"].removeprefix("test_").split("_against_")[0]
            work = f"{metric} distances"
            lines.append(
                f"| {info.get('work', work)} | {seconds(median)} | {info['peer']}, {seconds(info['theirs'])} "
                f"| {info['ratio']:.3g} |"
            )
    lines += ["", f"{machine['cpu'].get('brand_raw', machine['machine'])}, Python {machine['python_version']}."]
    return "\n".join(lines)


def seconds(value: float) -> str:
    """Return a duration with three digits and a unit that suits it."""
    return f"{value:.3g} s" if value >= 1 else f"{1e3 * value:.3g} ms"


def main() -> None:
    """Print the table, or put it into the README."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--page", type=Path)
    options = parser.parse_args()
    publish(options.page, "speed", table(json.loads(options.run.read_text())))


def publish(page: Path | None, mark: str, text: str) -> None:
    """Put a table between the marks of a page, or print it where there is none."""
    if page is None:
        print(text)
        return
    begin, end = f"<!-- {mark} -->", f"<!-- /{mark} -->"
    before, found, rest = page.read_text(encoding="utf-8").partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise SystemExit(f"{page} has no {begin} … {end}")
    page.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
