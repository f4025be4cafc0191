"""Makes the start of the app shorter: leaves out what large packages do at their start and nobody needs.

Their import takes most of the time until the first page is there. Some of it serves other purposes than ours;
leaving it out changes nothing that the app does:

- Gradio writes stub files for code editors beside each of its components, at every start; in an installation
  that is read-only it fails, quietly, after the work is done. After each page it builds an application of all
  pages so far. It also brings a server for tools and one without pages; the app has its own of both.
- torchvision and timm load PyTorch's compiler: the one to ask whether it is there, the other to keep it away
  from one function of one network.
"""

import gc
import importlib
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

__all__ = ["quick_building", "quick_imports"]

_COMPILER = ("torch._dynamo", "torch._dynamo.utils")


@contextmanager
def quick_imports() -> Iterator[None]:
    """Import large packages in here; what is imported already stays as it is."""
    finder = _Finder()
    collecting = gc.isenabled()
    # A collection looks at all that there is, over and over, and modules are not garbage.
    gc.disable()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        gc.freeze()
        if collecting:
            gc.enable()


@contextmanager
def quick_building() -> Iterator[None]:
    """Leave Gradio's blocks in here: they make no application, because the site makes one of them all."""
    routes = importlib.import_module("gradio.routes")
    create = vars(routes.App)["create_app"]
    routes.App.create_app = staticmethod(lambda *_, **__: None)
    try:
        yield
    finally:
        routes.App.create_app = create


class _Finder(MetaPathFinder):
    """Finds the two modules whose import is shortened; all others are left to Python."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        run = _SHORTENED.get(fullname)
        spec = None if run is None else PathFinder.find_spec(fullname, path, target)
        if run is not None and spec is not None and spec.loader is not None:
            spec.loader = _Shortened(spec.loader, run)
        return spec


class _Shortened(Loader):
    def __init__(self, loader: Loader, run: Callable[[Loader, ModuleType], None]) -> None:
        self._loader, self._run = loader, run

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._run(self._loader, module)

    def __getattr__(self, name: str) -> Any:  # get_source and the like
        return getattr(self._loader, name)


def _without_stubs(loader: Loader, module: ModuleType) -> None:
    loader.exec_module(module)
    module.create_or_modify_pyi = lambda *_: None  # type: ignore[attr-defined]


def _without_compiler(loader: Loader, module: ModuleType) -> None:
    if any(name in sys.modules for name in _COMPILER):
        loader.exec_module(module)
        return
    package, utils = (ModuleType(name) for name in _COMPILER)
    utils.is_compile_supported = _is_compile_supported  # type: ignore[attr-defined]
    sys.modules.update(zip(_COMPILER, (package, utils), strict=True))
    try:
        loader.exec_module(module)
    finally:
        for name in _COMPILER:  # whoever wants the compiler gets the real one
            sys.modules.pop(name, None)


def _without_disabling(loader: Loader, module: ModuleType) -> None:
    loader.exec_module(module)
    module.disable_compiler = lambda function: function  # type: ignore[attr-defined]


def _left_out(loader: Loader, module: ModuleType) -> None:
    if module.__name__ == "gradio.server":
        module.Server = None  # type: ignore[attr-defined]  # what gradio imports from it


def _is_compile_supported(device: str) -> bool:
    answer: bool = importlib.import_module(_COMPILER[1]).is_compile_supported(device)
    return answer


_SHORTENED = {
    "gradio.component_meta": _without_stubs,
    "gradio.mcp": _left_out,
    "gradio.server": _left_out,
    "torchvision.ops.roi_align": _without_compiler,
    "timm.layers.typing": _without_disabling,
}
