"""A file imports from its own folder or from folders above it, also for types; importing the package stays light."""

import ast
import pkgutil
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import fingerprint

PACKAGE = Path(fingerprint.__file__).parent
ABOVE = {  # the folders that each folder may import from, besides itself
    "_base": (),
    "_kernels": ("_base",),
    "_images": ("_base", "_kernels"),
    "_distances": ("_base", "_kernels", "_images"),
    "_patches": ("_base", "_kernels", "_images"),
    "_evidence": ("_base", "_kernels", "_images", "_distances", "_patches"),
    "_statistics": ("_base", "_images", "_patches", "_evidence"),
    "_answers": ("_base", "_images", "_distances", "_patches", "_evidence", "_statistics"),
    "challenge": ("_base", "_images", "_statistics", "_answers"),
    "phantoms": ("_base", "_images"),
    "_cli": ("", "challenge", "_base"),
}
FILES = sorted(PACKAGE.rglob("*.py"))


def folder_of(module: str) -> str:
    """Return the folder of the package in which a module lies; "" for the package itself."""
    name = [*module.split("."), ""][1]
    return name if (PACKAGE / name).is_dir() else ""


def imported(path: Path) -> set[str]:
    """Return the folders of the package that a file imports from, at run time, inside functions and for types."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == "fingerprint":
            found |= {folder_of(f"fingerprint.{alias.name}") for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("fingerprint."):
            found.add(folder_of(node.module or ""))
        elif isinstance(node, ast.Import):
            found |= {folder_of(alias.name) for alias in node.names if alias.name.split(".")[0] == "fingerprint"}
        assert not (isinstance(node, ast.ImportFrom) and node.level), f"{path}: relative import"
    return found


def modules(path: Path) -> set[str]:
    """Return the modules that a file imports, and the names it imports from them, at run time and for types."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            found |= {node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


def test_the_order_names_every_folder() -> None:
    folders = {path.parent.relative_to(PACKAGE).as_posix() for path in FILES} - {"."}
    assert folders == set(ABOVE)
    assert {path.name for path in PACKAGE.glob("*.py")} == {"__init__.py", "__main__.py"}


@pytest.mark.parametrize("path", [path for path in FILES if path.parent != PACKAGE], ids=lambda path: path.stem)
def test_a_file_imports_only_from_its_folder_and_those_above(path: Path) -> None:
    folder = path.parent.name
    assert imported(path) <= {folder, *ABOVE[folder]}


@pytest.mark.parametrize("folder", ABOVE)
def test_files_of_a_folder_do_not_import_each_other_in_a_circle(folder: str) -> None:
    files = {path.stem: path for path in (PACKAGE / folder).glob("*.py") if path.stem != "__init__"}
    names = [f"fingerprint.{folder}.{stem}" for stem in files]
    graph = {stem: {name.rpartition(".")[2] for name in names if name in modules(path)} for stem, path in files.items()}
    assert list(TopologicalSorter(graph).static_order())  # raises CycleError


def test_kernels_import_numba_llvmlite_and_numpy_alone() -> None:
    for path in (PACKAGE / "_kernels").glob("*.py"):
        nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
        names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
        names += [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module]
        roots = {
            name.split(".")[0]
            for name in names
            if not name.startswith("fingerprint._kernels")
            and name not in ("fingerprint._base.types", "fingerprint._base.importing")
        }
        assert roots - sys.stdlib_module_names <= {"llvmlite", "numba", "numpy"}


def test_names_of_numba_that_are_not_public_stand_in_one_file() -> None:
    private = {path for path in PACKAGE.rglob("*.py") if any(name.startswith("numba.core") for name in modules(path))}
    assert private == {PACKAGE / "_kernels" / "compiler.py"}


def test_import_loads_next_to_nothing() -> None:
    code = "import sys; before = set(sys.modules); import fingerprint; print(*sorted(set(sys.modules) - before))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    own = [name for name in loaded if name.split(".")[0] == "fingerprint"]
    assert own == ["fingerprint", "fingerprint._base", "fingerprint._base.version"]
    assert {name.split(".")[0] for name in loaded} - {"fingerprint"} <= sys.stdlib_module_names


@pytest.mark.parametrize("name", ["load", "rank", "challenge", "phantoms"])
def test_the_first_use_of_a_name_loads_no_heavy_library(name: str) -> None:
    code = f"import sys, fingerprint; fingerprint.{name}; print(*sorted({{one.split('.')[0] for one in sys.modules}}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"numba", "llvmlite", "scipy", "matplotlib", "jinja2", "PIL", "tqdm"} & set(loaded)


def test_every_module_but_the_public_ones_is_private() -> None:
    names = [module.name for module in pkgutil.walk_packages(fingerprint.__path__, "fingerprint.")]
    public = [name for name in names if "._" not in name]
    assert public == ["fingerprint.challenge", "fingerprint.phantoms"]
    assert len(names) > 50
