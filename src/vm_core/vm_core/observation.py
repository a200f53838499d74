"""The one observation builder: the same terms for training (torch, batched), simulation and robot (numpy)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from vm_core.arrays import array_namespace
from vm_core.errors import VmError
from vm_core.frames import Array
from vm_core.observation_terms import TERMS, ObservationInputs


class TermLike(Protocol):
    """What the builder reads of a contract's ObservationTerm."""

    @property
    def name(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def scale(self) -> tuple[float, ...]: ...
    @property
    def clip(self) -> tuple[float, float] | None: ...
    @property
    def history_length(self) -> int: ...


def build_terms(terms: Sequence[TermLike], inputs: ObservationInputs) -> dict[str, Array]:
    """The current frame of each term, clipped and scaled, (..., size).

    Raises:
        VmError: an unknown term, a missing input, or a size that differs from the contract's.
    """
    built = {}
    for term in terms:
        if term.name not in TERMS:
            raise VmError(f"unknown observation term {term.name!r}; there are {', '.join(sorted(TERMS))}")
        value = TERMS[term.name](inputs)
        if value.shape[-1] != term.size:
            raise VmError(
                f"observation term {term.name!r} has {value.shape[-1]} numbers; the contract says {term.size}"
            )
        if term.clip is not None:
            value = value.clip(*term.clip)  # numpy's and torch's own: the array API's costs ten times as much
        built[term.name] = value * _scale(term.scale, value)
    return built


def _scale(scale: tuple[float, ...], value: Array) -> Array | float:
    """One factor stays a plain number, which takes the array's own precision and costs no array of its own."""
    return scale[0] if len(scale) == 1 else array_namespace(value).asarray(scale, dtype=value.dtype)


class ObservationHistory:
    """Keeps the frames that the network sees and flattens them in the contract's layout.

    The first frame after a reset is repeated for the whole history, as the trainers of these policies do.
    """

    def __init__(self, terms: Sequence[TermLike], layout: str) -> None:
        self._terms = terms
        self._layout = layout
        self._frames: dict[str, list[Array]] = {}

    def reset(self) -> None:
        """Forgets all frames."""
        self._frames = {}

    def push(self, built: Mapping[str, Array]) -> Array:
        """Adds the frame of `build_terms` and returns the observation (..., size)."""
        for term in self._terms:
            frames = self._frames.setdefault(term.name, [])
            frames.extend([built[term.name]] * (1 if frames else term.history_length))
            del frames[: -term.history_length]
        return self._flatten()

    def _flatten(self) -> Array:
        major, newest_first = self._layout.startswith("frame_major"), self._layout.endswith("newest_first")
        depth = max(term.history_length for term in self._terms)
        ages = range(depth) if newest_first else range(depth - 1, -1, -1)
        if major:
            places = [(term, age) for age in ages for term in self._terms]
        else:
            places = [(term, age) for term in self._terms for age in ages]
        blocks = [self._frames[term.name][-1 - age] for term, age in places if age < term.history_length]
        return array_namespace(blocks[0]).concat(blocks, axis=-1)
