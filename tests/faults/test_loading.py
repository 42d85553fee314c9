"""Nothing that lies on the way in runs what a file brings, and what is downloaded is pinned."""

import ast
import pathlib

import pytest

ROOT = pathlib.Path(__file__).parents[2]

#: Modules that build objects as a file says.
PICKLERS = {"pickle", "_pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}

#: Functions that run text, or have a shell run it.
RUNNERS = {
    "eval", "exec", "compile", "__import__", "os.system", "os.popen", "os.execv", "os.execvp", "runpy.run_path",
    "runpy.run_module", "subprocess.getoutput", "subprocess.getstatusoutput",
}  # fmt: skip

#: Functions that fetch what lies at an address.
FETCHERS = {
    "urllib.request.urlopen", "urllib.request.urlretrieve", "requests.get", "httpx.get", "torch.hub.load",
    "torch.hub.load_state_dict_from_url", "huggingface_hub.snapshot_download", "huggingface_hub.hf_hub_download",
}  # fmt: skip


def trouble(source: str) -> list[str]:
    """Returns what a module does that no module here may do, with its lines."""
    found, aliases = [], {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            origin = getattr(node, "module", None) or ""
            for alias in node.names:
                whole = f"{origin}.{alias.name}" if origin else alias.name
                aliases[alias.asname or alias.name] = whole
                if whole.partition(".")[0] in PICKLERS:
                    found.append(f"{node.lineno}: imports {whole}")
        if isinstance(node, ast.Call):
            found += _call(node, aliases)
    return found


def _call(node: ast.Call, aliases: dict[str, str]) -> list[str]:
    name = ast.unparse(node.func)
    first, _, rest = name.partition(".")
    name = aliases.get(first, first) + (f".{rest}" if rest else "")
    given = {one.arg: getattr(one.value, "value", ast.unparse(one.value)) for one in node.keywords}
    texts = [one.value for one in node.args if isinstance(one, ast.Constant) and isinstance(one.value, str)]
    wrong = {
        "runs text": name in RUNNERS,
        "unpickles": given.get("allow_pickle", False) is not False or name.endswith("read_pickle"),
        # Without weights_only=True, torch.load unpickles.
        "unpickles, weights_only is not True": name == "torch.load" and given.get("weights_only") is not True,
        "imports a pickler": name == "importlib.import_module"
        and bool(PICKLERS & {t.partition(".")[0] for t in texts}),
        "asks a shell": given.get("shell", False) is not False,
        "fetches what nobody pinned": name in FETCHERS and not {"revision", "sha256"} & given.keys(),
        "reads YAML as code": name in ("yaml.load", "yaml.unsafe_load"),
    }
    return [f"{node.lineno}: {name} {what}" for what, so in wrong.items() if so]


@pytest.mark.smoke
@pytest.mark.parametrize("room", ["jaxevo", "experiments"])
def test_no_module_runs_or_unpickles_what_a_file_holds_or_fetches_what_nobody_pinned(room):
    files = sorted((ROOT / room).rglob("*.py"))
    assert len(files) > 50
    found = [f"{file.relative_to(ROOT)}:{one}" for file in files for one in trouble(file.read_text())]
    assert not found


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from cloudpickle import loads",
        "import importlib\nimportlib.import_module('pickle')",
        "eval(text)",
        "from os import system as run\nrun('ls')",
        "import os as o\no.system('ls')",
        "import subprocess\nsubprocess.run('ls', shell=True)",
        "import numpy as np\nnp.load(path, allow_pickle=True)",
        "import numpy as np\nnp.load(path, allow_pickle=flag)",
        "import torch\ntorch.load(path)",
        "import torch\ntorch.load(path, weights_only=False)",
        "import urllib.request\nurllib.request.urlretrieve(address)",
        "from huggingface_hub import hf_hub_download\nhf_hub_download(name)",
    ],
)
def test_the_scan_sees_what_it_looks_for(source):
    assert trouble(source)
