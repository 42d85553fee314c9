"""The house is in order: what imports bring, what is documented, what lies where."""

import ast
import importlib
import inspect
import os
import pathlib
import pkgutil
import re
import subprocess
import sys

import pytest

import jaxevo

ROOT = pathlib.Path(__file__).parents[1]
HEAVY = ("torch", "onnx", "haiku", "matplotlib", "tensorflow")
TOP = {"pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "jaxevo", "tests", "experiments", "colab"}


def modules():
    """Yields all modules of the library."""
    yield jaxevo
    for info in pkgutil.walk_packages(jaxevo.__path__, "jaxevo."):
        yield importlib.import_module(info.name)


def exported(module):
    """Returns what a package exports, or a module defines, that is public: name -> object."""
    names = getattr(module, "__all__", None)
    if names is None:
        members = vars(module).items()
        names = [name for name, value in members if getattr(value, "__module__", None) == module.__name__]
    return {name: getattr(module, name) for name in names if not name.startswith("_")}


def tracked():
    """Returns the files of the repository, or skips where this is no repository."""
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listing.returncode:
        pytest.skip("not a git checkout")
    return [pathlib.Path(name) for name in listing.stdout.split("\0") if name and (ROOT / name).exists()]


@pytest.mark.smoke
def test_importing_jaxevo_imports_no_heavy_library(tmp_path):
    for name in HEAVY:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(f"raise ImportError('jaxevo imported {name}')\n")
    listing = ", ".join(module.__name__ for module in modules() if module.__name__.count(".") <= 1)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    code = f"import {listing}, sys; assert not set(sys.modules) & set({HEAVY!r})"
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)


def test_every_module_and_every_public_name_is_documented():
    bare = []
    for module in modules():
        if not module.__doc__:
            bare.append(module.__name__)
        # ONNX's specification documents its operators and JAX its primitives, under the names in their decorators.
        entered = re.match(r"jaxevo\.interop\.onnx\.(operators|primitives)\.", module.__name__)
        for name, value in ({} if entered and not module.__name__.endswith(".table") else exported(module)).items():
            if inspect.isclass(value) or inspect.isfunction(value):
                bare += [f"{module.__name__}.{name}"] * (not _documented(value))
                bare += [f"{module.__name__}.{name}.{part}" for part in _bare_methods(value)]
    assert not bare


def _documented(value):
    # Dataclasses and NamedTuples get their signature for a docstring where they have none.
    doc = value.__doc__ or ""
    return bool(doc) and not doc.startswith(f"{value.__name__}(")


def _bare_methods(value):
    if not inspect.isclass(value) or not value.__module__.startswith("jaxevo"):
        return []
    written = {name: part for name, part in vars(value).items() if not name.startswith("_")}
    methods = {name: getattr(part, "fget", part) for name, part in written.items()}
    # A function without a name of its own is a field's default.
    return [
        name
        for name, part in methods.items()
        if inspect.isfunction(part) and part.__name__ != "<lambda>" and not part.__doc__
    ]


def test_no_module_bears_the_name_of_a_function_that_its_package_exports():
    for module in modules():
        if hasattr(module, "__path__"):
            names = {info.name for info in pkgutil.iter_modules(module.__path__)}
            shadowed = {name for name in names & exported(module).keys() if not inspect.ismodule(getattr(module, name))}
            assert not shadowed, f"{module.__name__} exports {shadowed} and holds modules of that name"


def test_the_top_level_holds_what_belongs_there():
    tops = {path.parts[0] for path in tracked()}
    assert {top for top in tops if not top.startswith(".")} <= TOP


def test_no_file_names_a_path_outside_the_repository():
    # Homes of people, and the folder in which this checkout happens to lie (unless that is a temporary one).
    places = [r"/home/\w", r"/root/\w", r"/Users/\w", r"(?<![\w./])\.\./[a-z]"]
    if "tmp" not in ROOT.parts and len(ROOT.parent.parts) > 1:
        places.append(rf"(?<![\w.]){re.escape(str(ROOT.parent))}/")
    outside = re.compile("|".join(places))
    for path in tracked():
        if (
            path.suffix in {".py", ".md", ".toml", ".yml", ".yaml", ".ipynb", ".json", ".cfg", ""}
            and path.name != "LICENSE"
        ):
            found = outside.search((ROOT / path).read_text())
            assert not found, f"{path} names {found.group()}"


def test_tests_mirror_the_library():
    for path in tracked():
        if path.parts[0] == "tests" and path.name.startswith("test_") and path.parent != pathlib.Path("tests"):
            room = pathlib.Path(*path.parts[1:-1])
            places = [ROOT / base / room for base in ("jaxevo", "experiments", ".")]
            # Faults befall whole programs.
            known = any(place.is_dir() or place.with_suffix(".py").exists() for place in places)
            assert known or room.parts[0] == "faults", f"{path} mirrors no package"


def test_the_library_uses_only_public_jax_and_nothing_that_hides_errors_or_runs_strings():
    for path in (ROOT / "jaxevo").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            where = f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.Import | ast.ImportFrom):
                origin = node.module or "" if isinstance(node, ast.ImportFrom) else ""
                names = [origin, *(alias.name for alias in node.names)]
                assert not any("_src" in name for name in names), f"{where} imports a private module of jax"
                assert not set(names) & {"pickle", "dill", "cloudpickle"}, f"{where} imports a pickler"
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in {"eval", "exec"}, f"{where} runs a string"
            if isinstance(node, ast.ExceptHandler):
                assert not all(isinstance(step, ast.Pass) for step in node.body), f"{where} hides an error"


def test_the_readme_says_how_to_run_the_main_job_and_the_tests_in_one_line_each():
    lines = (ROOT / "README.md").read_text().splitlines()
    assert sum(line.endswith("&& python -m experiments.stitching") for line in lines) == 1
    assert sum(line.endswith("&& python -m pytest") for line in lines) == 1
