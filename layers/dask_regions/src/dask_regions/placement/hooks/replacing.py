"""The one way in which attributes of Dask are replaced, and given back."""

from __future__ import annotations

import logging
from collections.abc import Callable, MutableMapping
from contextlib import ExitStack
from dataclasses import dataclass
from inspect import ismemberdescriptor
from types import ModuleType
from typing import TYPE_CHECKING, Any

from dask_regions.placement.hooks.overrides import OVERRIDES

if TYPE_CHECKING:
    from distributed.scheduler import Scheduler
    from distributed.worker import Worker

__all__ = ["Overrides", "overrides_of"]

logger = logging.getLogger(__name__)

#: Key in ``Server.extensions``. Of an extension Dask calls nothing but what it defines, a plugin would cost
#: the scheduler a call per transition.
_EXTENSION = "dask-regions-overrides"
_DECLARED = frozenset(override.target for override in OVERRIDES)
_ABSENT = object()

#: Attributes of modules and classes, which all schedulers and workers of this process share: how many have
#: asked for the replacement, and what takes it back.
_shared: dict[tuple[int, str], tuple[int, Callable[[], None]]] = {}


class Overrides:
    """What was replaced for one scheduler or worker, and how it is taken back.

    It is a stack: what was replaced last is taken back first. It does not decide what is replaced; that is
    declared in :mod:`.overrides`, and anything else is refused.

    Examples
    --------
    >>> overrides_of(scheduler).replace(scheduler, "valid_workers", valid_workers)  # doctest: +SKIP
    >>> overrides_of(scheduler).take_back()  # doctest: +SKIP
    """

    def __init__(self) -> None:
        self._undo = ExitStack()

    def replace(self, owner: Any, name: str, new: Any, *, key: str | None = None) -> None:
        """Replace an attribute, or with ``key`` an item of the dictionary that it is.

        Parameters
        ----------
        owner
            Instance, class or module. What is replaced on a class or module is replaced once in this
            process, and taken back when the last who asked for it takes it back: ``new`` must be the same
            for all.
        name
            Of the attribute.
        new
            What takes its place; on an instance it hides a method of the class.
        key
            Of the item.

        Raises
        ------
        LookupError
            Where :data:`~dask_regions.placement.hooks.overrides.OVERRIDES` does not declare it.
        """
        target = _target(owner, name, key)
        if not isinstance(owner, (type, ModuleType)):
            self._undo.callback(_put(target, owner, name, new, key))
            return
        shared = (id(owner), f"{name}[{key}]")
        users, undo = _shared[shared] if shared in _shared else (0, _put(target, owner, name, new, key))
        _shared[shared] = (users + 1, undo)
        self._undo.callback(_release, shared)

    def on_take_back(self, function: Callable[..., object], *arguments: Any) -> None:
        """Call a function when it is its turn to be taken back."""
        self._undo.callback(function, *arguments)

    def take_back(self) -> None:
        """Give every attribute back, the last that was replaced first. A second call does nothing."""
        self._undo.close()


def overrides_of(server: Scheduler | Worker) -> Overrides:
    """Return what was replaced for a scheduler or worker; it lives as long as the server."""
    overrides: Overrides = server.extensions.setdefault(_EXTENSION, Overrides())
    return overrides


def _target(owner: Any, name: str, key: str | None) -> str:
    """Return the name under which an override is declared."""
    item = "" if key is None else f"[{key}]"
    if isinstance(owner, ModuleType):
        owners = [owner.__name__]
    else:
        classes = owner.__mro__ if isinstance(owner, type) else type(owner).__mro__
        owners = [f"{each.__module__}.{each.__qualname__}" for each in classes]
    targets = [f"{each}.{name}{item}" for each in owners]
    for target in targets:
        if target in _DECLARED:
            return target
    raise LookupError(f"{targets[0]} is replaced and not declared; add it to hooks/overrides.py, with a test")


def _put(target: str, owner: Any, name: str, new: Any, key: str | None) -> Callable[[], None]:
    """Replace, and return the function that takes it back."""
    place: _Place = _Attribute(owner, name) if key is None else _Item(getattr(owner, name), key)
    old = place.get()

    def undo() -> None:
        if place.get() is new:
            place.put(old)
        else:
            logger.warning("%s was replaced by another since, and stays so until a restart", target)

    place.put(new)
    return undo


@dataclass(frozen=True)
class _Attribute:
    """An attribute of an instance itself, which hides that of its class, or of a class or module."""

    owner: Any
    name: str

    def get(self) -> Any:
        # The scheduler keeps a part of its state in slots, which are not among its variables.
        if ismemberdescriptor(getattr(type(self.owner), self.name, None)):
            return getattr(self.owner, self.name)
        return vars(self.owner).get(self.name, _ABSENT)

    def put(self, value: Any) -> None:
        if value is _ABSENT:
            delattr(self.owner, self.name)
        else:
            setattr(self.owner, self.name, value)


@dataclass(frozen=True)
class _Item:
    items: MutableMapping[str, Any]
    key: str

    def get(self) -> Any:
        return self.items.get(self.key, _ABSENT)

    def put(self, value: Any) -> None:
        if value is _ABSENT:
            del self.items[self.key]
        else:
            self.items[self.key] = value


_Place = _Attribute | _Item


def _release(shared: tuple[int, str]) -> None:
    users, undo = _shared.pop(shared)
    if users > 1:
        _shared[shared] = (users - 1, undo)
    else:
        undo()
