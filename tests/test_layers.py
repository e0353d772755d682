"""A file imports only from files above it, and importing the package stays light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import fingerprint

PACKAGE = Path(fingerprint.__file__).parent
ORDER = [
    "_version",
    "_types",
    "_check",
    "_compiler",
    "_instructions",
    "_layout",
    "_packing_kernels",
    "_dot_kernels",
    "_kernels",
    "_ssim_kernels",
    "_patch_kernels",
    "_nearest_patch_kernels",
    "_patch_evidence_kernels",
    "_whitening_kernels",
    "_memory",
    "_population",
    "_threads",
    "_slices",
    "_output",
    "_files",
    "_names",
    "_tasks",
    "_sources",
    "images",
    "bins",
    "_prepared",
    "_integer_metrics",
    "_similarity",
    "distance",
    "neighbours",
    "_patch_search",
    "patches",
    "_patch_evidence_search",
    "patch_reals",
    "patch_evidence",
    "views",
    "whitening",
    "summary",
    "engine",
    "scores",
    "decisions",
    "collection",
    "evidence",
    "report",
    "ranking",
    "_rank",
    "_estimates",
    "_auc",
    "evaluation",
    "comparable",
    "_logistic",
    "detector",
    "copying",
    "auditing",
    "comparison",
    "attribution",
    "_run_files",
    "challenge",
    "_anatomy",
    "phantoms",
    "__init__",
    "_commands",
    "__main__",
]


def imported(path: Path) -> set[str]:
    """Return the modules of the package that a file imports at run time, also inside functions."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing_only = {
        id(child)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for child in ast.walk(node)
    }
    found = set()
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.ImportFrom) and node.module == "fingerprint":
            found |= {alias.name if (PACKAGE / f"{alias.name}.py").exists() else "__init__" for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("fingerprint."):
            found.add(node.module.split(".")[1])
        elif isinstance(node, ast.Import):
            found |= {
                [*alias.name.split("."), "__init__"][1]
                for alias in node.names
                if alias.name.split(".")[0] == "fingerprint"
            }
    return found


def test_the_order_names_every_file() -> None:
    assert sorted(ORDER) == sorted(path.stem for path in PACKAGE.glob("*.py"))


@pytest.mark.parametrize("module", ORDER)
def test_a_file_imports_only_from_files_above_it(module: str) -> None:
    above = ORDER[: ORDER.index(module)]
    assert imported(PACKAGE / f"{module}.py") <= set(above)


def test_kernels_import_numba_and_numpy_alone() -> None:
    shared = {"fingerprint._compiler", "fingerprint._instructions", "fingerprint._layout"}
    for path in PACKAGE.glob("_*kernels.py"):
        nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
        names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
        names += [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module]
        roots = {name.split(".")[0] for name in names if name not in shared}
        assert roots - sys.stdlib_module_names <= {"llvmlite", "numba", "numpy"}


def test_import_loads_no_heavy_library() -> None:
    code = "import sys, fingerprint; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"numba", "llvmlite", "scipy", "matplotlib", "jinja2", "PIL", "tqdm"} & set(loaded)
    assert "numpy" in loaded
