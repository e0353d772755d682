"""The public face: exports, docstrings that match signatures, typed package."""

import ast
import doctest
import importlib
import inspect
import pickle
import pkgutil
import re
import subprocess
import sys
import typing
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

import pytest

import fingerprint
from fingerprint._images import loading
from fingerprint._statistics import methods

ROOT = Path(__file__).parents[1]
FUNCTIONS = [name for name in fingerprint.__all__ if inspect.isfunction(getattr(fingerprint, name))]
EXPORTED = [
    thing
    for module in (fingerprint, fingerprint.challenge, fingerprint.phantoms)
    for thing in (getattr(module, name) for name in module.__all__)
    if inspect.isfunction(thing) or inspect.isclass(thing)
]
CLASSES = [name for name in fingerprint.__all__ if inspect.isclass(getattr(fingerprint, name))]


def documented(doc: str, section: str) -> list[str]:
    """Return the names in a numpydoc section."""
    match = re.search(
        rf"^{section}\n-+\n(.*?)(?=^\w[\w ]*\n-+\n|\Z)", inspect.cleandoc(doc) + "\n", re.MULTILINE | re.DOTALL
    )
    lines = re.findall(r"^(\S.*?)(?: :.*)?$", match.group(1), re.MULTILINE) if match else []
    return [name.lstrip("*") for line in lines for name in line.split(", ")]


def test_all_is_sorted_and_complete() -> None:
    assert list(fingerprint.__all__) == sorted(fingerprint.__all__) == dir(fingerprint)
    assert {"InputError", "Ranking", "__version__", "challenge", "rank"} <= set(fingerprint.__all__)


def test_type_checkers_see_the_names_that_are_loaded_on_first_use() -> None:
    tree = ast.parse(inspect.getsource(fingerprint))
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    seen = {alias.asname: node.module for node in nodes for alias in node.names if alias.asname}
    for name in ("challenge", "phantoms"):
        assert seen.pop(name) == "fingerprint"
        assert inspect.ismodule(getattr(fingerprint, name))
    for name, module in seen.items():
        assert getattr(fingerprint, name) is getattr(sys.modules[module], name)
    assert {*seen, "challenge", "phantoms"} == set(fingerprint.__all__)


@pytest.mark.parametrize("thing", EXPORTED, ids=lambda thing: thing.__name__)
def test_what_is_exported_stands_under_the_public_module(thing) -> None:
    assert getattr(sys.modules[thing.__module__], thing.__name__) is thing
    assert thing.__module__ in ("fingerprint", "fingerprint.challenge", "fingerprint.phantoms")
    assert pickle.loads(pickle.dumps(thing)) is thing


def test_a_pickle_loads_where_nothing_has_been_imported() -> None:
    written = pickle.dumps([fingerprint.Failure("a.png", "broken"), fingerprint.challenge.RunError(1, "p", "r")])
    code = "import pickle, sys; print(*pickle.loads(sys.stdin.buffer.read()), sep='\\n')"
    run = subprocess.run([sys.executable, "-c", code], input=written, capture_output=True, check=True)
    assert run.stdout.decode().splitlines() == ["Failure(name='a.png', reason='broken')", "line 1: p; r"]


@pytest.mark.parametrize("thing", EXPORTED, ids=lambda thing: thing.__name__)
def test_examples_are_right(thing) -> None:
    # what collects the examples of a module passes over what stands under another one
    for test in doctest.DocTestFinder().find(thing, thing.__name__, module=False, globs={thing.__name__: thing}):
        assert doctest.DocTestRunner().run(test).failed == 0


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = fingerprint.no_such_name


@pytest.mark.parametrize("name", FUNCTIONS)
def test_docstrings_document_every_parameter(name: str) -> None:
    function = getattr(fingerprint, name)
    assert documented(function.__doc__, "Parameters") == list(inspect.signature(function).parameters)
    assert documented(function.__doc__, "Returns") or documented(function.__doc__, "Yields")
    assert documented(function.__doc__, "Raises") == ["InputError"]
    assert ">>>" in function.__doc__


COLLECTIONS = ("training_sets", "real", "used", "unused", "fake", "fake_a", "fake_b")  # in the order of every signature
READING = ("size", "recursive", "on_error", "threads", "progress")
CHOICES = {"method": "MethodName", "metric": ("Metric", "ImageMetric"), "measure": "Measure", "on_error": "OnError"}
TAKING = [*map(fingerprint.__dict__.get, FUNCTIONS), fingerprint.Detector.predict]


@pytest.mark.parametrize("function", TAKING, ids=lambda function: function.__name__)
def test_all_functions_have_one_interface(function) -> None:
    parameters = {k: v for k, v in inspect.signature(function).parameters.items() if k != "self"}
    positional = [name for name, one in parameters.items() if one.kind is not inspect.Parameter.KEYWORD_ONLY]
    assert len(positional) <= 3
    for name, one in parameters.items():
        assert one.kind is not inspect.Parameter.POSITIONAL_ONLY
        assert (name in positional) == (one.default is inspect.Parameter.empty)
        assert one.annotation in CHOICES.get(name, one.annotation)
    collections = [name for name in positional if name in COLLECTIONS]
    assert collections == sorted(collections, key=COLLECTIONS.index)
    if collections:
        assert positional == collections
        assert set(READING) <= set(parameters)
    shared = [
        name
        for name in (*READING[:3], "block", "memory", "threads", "executor", "checkpoint", "progress")
        if name in parameters
    ]
    assert [name for name in parameters if name in shared] == shared
    if "block" in parameters:
        assert parameters["block"].default == loading.BLOCK


@pytest.mark.parametrize("name", CLASSES)
def test_results_document_every_field(name: str) -> None:
    cls = getattr(fingerprint, name)
    if not issubclass(cls, Exception):
        fields = [name for base in cls.__mro__[-2::-1] for name in documented(base.__doc__ or "", "Parameters")]
        fields.sort(key="provenance".__eq__)  # keyword-only and of every result, so last
        assert fields == list(inspect.signature(cls).parameters)


def test_methods_are_described_and_typed() -> None:
    assert list(fingerprint.METHODS) == list(methods.METHODS) == list(typing.get_args(methods.MethodName))
    assert all(fingerprint.METHODS.values())
    assert len({*fingerprint.METHODS.values()}) == len(fingerprint.METHODS)


def test_the_version_is_that_of_the_distribution() -> None:
    assert fingerprint.__version__ == version("synthetic-fingerprint")


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="needs the list of tracked files")
def test_no_file_names_the_distribution_of_another_project() -> None:
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    own = fingerprint.__name__
    wrong = re.compile(rf"(?<![-\w]){own}(\\?\[[a-z]|[=~<>]=)|\b(install|add)\b[^&]*(?<![-\w/.]){own}(?![-\w])")
    assert all(map(wrong.search, (f"pip install -e {own}", f"{own}[report]", f"{own}>=0.2")))
    assert not wrong.search('pip install "synthetic-fingerprint[report]"')
    found = []
    for path in (ROOT / name for name in tracked.split("\0") if name):
        if path.suffix in (".md", ".py", ".toml", ".yml", ".yaml", ".jinja", "") and path.is_file():
            lines = path.read_text(encoding="utf-8").splitlines()
            found += [f"{path}:{i}: {line}" for i, line in enumerate(lines, 1) if wrong.search(line)]
    assert found == []


def test_whatever_a_public_class_refers_to_is_public() -> None:
    modules = [
        importlib.import_module(one.name)
        for one in pkgutil.walk_packages(fingerprint.__path__, "fingerprint.")
        if not one.name.endswith("__main__")
    ]
    hidden = {
        name
        for module in modules
        for name, thing in vars(module).items()
        if inspect.isclass(thing) and thing.__module__.startswith("fingerprint._")
    } - {"Origin"}  # which tells users nothing
    for cls in (one for one in EXPORTED if inspect.isclass(one) and one is not fingerprint.InputError):
        named = [str(one.annotation) for one in inspect.signature(cls).parameters.values()]
        named += [
            str(inspect.signature(one).return_annotation)
            for name, one in inspect.getmembers(cls, callable)
            if name[0] != "_"
        ]
        assert not hidden & {*re.findall(r"\w+", " ".join(named))}, cls


@pytest.mark.parametrize("thing", EXPORTED, ids=lambda thing: thing.__name__)
def test_docstrings_name_nothing_private(thing) -> None:
    methods = [one for name, one in inspect.getmembers(thing, inspect.isfunction) if name[0] != "_"]
    for one in [thing, *methods]:
        assert not re.search(r"`_|fingerprint\._", one.__doc__ or "")


@pytest.mark.skipif(not (ROOT / "docs").exists(), reason="needs the pages")
def test_the_reference_lists_every_public_name() -> None:
    listed = re.findall("^::: (.*)$", (ROOT / "docs" / "api.md").read_text(encoding="utf-8"), re.MULTILINE)
    public = {f"fingerprint.{name}" for name in fingerprint.__all__} - {"fingerprint.__version__"}
    for module in (fingerprint.challenge, fingerprint.phantoms):
        public.remove(module.__name__)
        public |= {f"{module.__name__}.{name}" for name in module.__all__}
    assert sorted(listed) == sorted(public)


@pytest.mark.skipif(not (ROOT / "docs").exists(), reason="needs the pages")
def test_pages_and_examples_call_what_there_is() -> None:
    examples = [path for path in (ROOT / "examples").iterdir() if path.suffix in (".ipynb", ".py")]
    pages = [*(ROOT / "docs").glob("*.md"), ROOT / "README.md", *examples]
    texts = [path.read_text(encoding="utf-8") for path in pages if path.name != "upgrading.md"]
    for text in texts:
        assert set(re.findall(r"\bfingerprint\.([A-Za-z]\w*)", text)) <= {*fingerprint.__all__}
        for name, arguments in re.findall(r"\bfingerprint\.([a-z]\w*)\(([^()]*)\)", text):
            known = inspect.signature(getattr(fingerprint, name)).parameters
            assert {*re.findall(r"(\w+)=", arguments)} <= {*known}, name
    assert sum(text.count("fingerprint.rank(") for text in texts) > 5


def test_the_package_is_typed() -> None:
    assert files("fingerprint").joinpath("py.typed").is_file()
