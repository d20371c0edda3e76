"""Modules of generated classes (`_inputs`, `outputs`, `_enums`) whose classes are made when somebody needs them.

Such a module of a Pulumi package declares every nested type of a service: `pulumi_kubernetes.core.v1._inputs` has 728, and a
program needs a few. Here the module's code runs with class statements that only remember their body; a name that is asked for
is made then, from the same code with the same decorators, and with it every class that it mentions, because type hints are
resolved by name in the module's own namespace.
"""

import builtins
import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from importlib import import_module
from importlib.machinery import SourceFileLoader
from inspect import CO_OPTIMIZED
from threading import RLock
from types import CodeType, FunctionType, ModuleType
from typing import Any

import pulumi

MODULES = frozenset({"_enums", "_inputs", "outputs"})
"""Names of the modules of classes, as Pulumi's generator gives them."""
_STARRED = ("_inputs", "_enums")
"""Those of which others import everything; where both have a name, the first gives it."""
_NOTHING = "__nothing__"
"""Name of an empty module, imported in the place of one of `_STARRED`."""
_DECORATORS = frozenset({"input_type", "output_type", "type_token"})
_WORD = re.compile(r"[A-Za-z_]\w*")
_ANNOTATION = 400
"""Characters; a longer text is no annotation."""
_making = RLock()


class _NotLazy(Exception):
    """The module's code is not as Pulumi's generator writes it."""


@dataclass
class _Statement:
    """A class statement that has not run."""

    body: FunctionType
    name: str
    bases: tuple[Any, ...]
    words: dict[str, Any]
    decorators: list[Callable[[Any], Any]] = field(default_factory=list)

    def run(self, module: ModuleType) -> Any:
        """The class, made in the module's namespace."""
        body = FunctionType(self.body.__code__, module.__dict__, self.name)
        made = builtins.__build_class__(body, self.name, *self.bases, **self.words)
        for decorate in self.decorators:
            made = decorate(made)
        return made


class LazyClasses(ModuleType):
    """A module whose code runs when the first name is asked for, and each of its classes when its own is."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name != "__all__":
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        with _making:
            waiting = _waiting(self)
            _make(self, waiting, name)
            return self.__dict__[name] if name in self.__dict__ else of_starred(self, name)

    def __dir__(self) -> Iterable[str]:
        with _making:
            return {*_waiting(self), *super().__dir__(), *_all_of_starred(self)}


class LazyNames(ModuleType):
    """A module that imports everything of modules of classes: it has the names that it mentions, and the others on demand."""

    def __getattr__(self, name: str) -> Any:
        return of_starred(self, name)

    def __dir__(self) -> Iterable[str]:
        return {*super().__dir__(), *_all_of_starred(self)}


class LazyClassesLoader(SourceFileLoader):
    """Loads a module of classes."""

    def exec_module(self, module: ModuleType) -> None:
        module.__dict__["__statements__"] = None
        module.__class__ = LazyClasses


class LazyNamesLoader(SourceFileLoader):
    """Loads any other generated module."""

    def exec_module(self, module: ModuleType) -> None:
        code = _code(self, module)
        starless = _without_stars(module, code)
        if "__starred__" in module.__dict__:
            _name_mentioned(module, _mentioned(code))
            module.__class__ = LazyNames
        exec(starless, module.__dict__)


def of_starred(module: ModuleType, name: str) -> Any:
    """A name that a module has by importing everything of another. Raises `AttributeError`."""
    for starred in () if name.startswith("__") else module.__dict__.get("__starred__", ()):
        if name in starred.__all__:
            return module.__dict__.setdefault(name, getattr(starred, name))
    raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")


def _all_of_starred(module: ModuleType) -> set[str]:
    return {name for starred in module.__dict__.get("__starred__", ()) for name in starred.__all__}


def _code(loader: Any, module: ModuleType) -> CodeType:
    code = loader.get_code(module.__name__)
    assert isinstance(code, CodeType)
    return code


def _without_stars(module: ModuleType, code: CodeType) -> CodeType:
    """The code, importing nothing where it imported everything of `_STARRED`."""
    wanted = [name for name in _STARRED if name in code.co_names]
    if not wanted or not module.__package__:
        return code
    module.__dict__["__starred__"] = [import_module(f"{module.__package__}.{name}") for name in wanted]
    sys.modules.setdefault(f"{module.__package__}.{_NOTHING}", _nothing())
    return code.replace(co_names=tuple(_NOTHING if name in wanted else name for name in code.co_names))


def _nothing() -> ModuleType:
    empty = ModuleType(_NOTHING)
    empty.__dict__["__all__"] = ()
    return empty


def _name_mentioned(module: ModuleType, mentioned: set[str]) -> None:
    for starred in module.__dict__.get("__starred__", ()):
        for name in mentioned.intersection(starred.__all__):
            module.__dict__.setdefault(name, getattr(starred, name))


def _mentioned(code: CodeType) -> set[str]:
    """Every name that this code, or a type hint that is written in a class of it, may ask its module for."""
    found: set[str] = set()
    codes = [code]
    while codes:
        each = codes.pop()
        found.update(each.co_names)
        codes += [const for const in each.co_consts if type(const) is CodeType]
        if not each.co_flags & CO_OPTIMIZED:
            for const in each.co_consts:
                if type(const) is str and len(const) < _ANNOTATION:
                    found.update(_WORD.findall(const))
    return found


def _waiting(module: ModuleType) -> dict[str, _Statement]:
    """The statements that have not run; runs the module's code when that has not run either."""
    waiting: dict[str, _Statement] | None = module.__dict__["__statements__"]
    if waiting is None:
        code = _code(module.__loader__, module)
        try:
            waiting = _run(module, code)
        except _NotLazy:
            waiting = {}
            exec(code, module.__dict__)
        module.__dict__["__statements__"] = waiting
    return waiting


def _run(module: ModuleType, code: CodeType) -> dict[str, _Statement]:
    """Runs a module's code but for its class statements, which are returned by name."""
    built_in = {**vars(builtins), "__build_class__": _remembered, "__import__": _imported}
    space: dict[str, Any] = {**module.__dict__, "__builtins__": built_in}
    exec(_without_stars(module, code), space)
    if any(isinstance(each, FunctionType) and each.__globals__ is space for each in space.values()):
        raise _NotLazy
    found = {name: each for name, each in space.items() if isinstance(each, _Statement)}
    rest = {name: each for name, each in space.items() if name not in found and name != "__builtins__"}
    module.__dict__.update({name: pulumi if isinstance(each, _Marking) else each for name, each in rest.items()})
    return found


def _remembered(body: FunctionType, name: str, *bases: Any, **words: Any) -> _Statement:
    if any(isinstance(base, _Statement) for base in bases):
        raise _NotLazy
    return _Statement(body, name, bases, words)


def _imported(name: str, *rest: Any) -> Any:
    found = builtins.__import__(name, *rest)
    return _Marking() if found is pulumi else found


class _Marking:
    """Stands for the module `pulumi` while a module's code runs: its decorators remember what they would decorate."""

    def __getattr__(self, name: str) -> Any:
        found = getattr(pulumi, name)
        if name not in _DECORATORS:
            return found
        return _noted(found) if name != "type_token" else lambda token: _noted(found(token))


def _noted(decorate: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def note(statement: Any) -> Any:
        if not isinstance(statement, _Statement):
            return decorate(statement)
        statement.decorators.append(decorate)
        return statement

    return note


def _make(module: ModuleType, waiting: dict[str, _Statement], name: str) -> None:
    """Makes a class, those that it mentions, and those that they mention."""
    wanted = {name}
    while wanted:
        statement = waiting.pop(wanted.pop(), None)
        if statement is not None:
            module.__dict__[statement.name] = statement.run(module)
            mentioned = _mentioned(statement.body.__code__)
            _name_mentioned(module, mentioned)
            wanted |= mentioned & waiting.keys()
