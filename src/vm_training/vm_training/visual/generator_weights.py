"""A generator's weights as arrays, and back."""

from __future__ import annotations

import numpy as np
import torch

from vm_core.errors import VmError
from vm_training.visual.generator import Generator, Sight


def generator_arrays(generator: Generator, rounds: int) -> dict[str, np.ndarray]:
    """A generator as arrays."""
    weights = {key: value.numpy() for key, value in generator.state_dict().items()}
    return weights | {"rounds": np.array(rounds)}


def generator_of(arrays: dict[str, np.ndarray], sight: Sight) -> Generator:
    """Undoes `generator_arrays`.

    Raises:
        VmError: they are not such a generator's.
    """
    saved = {key: torch.from_numpy(value) for key, value in arrays.items() if key != "rounds"}
    try:
        widths = [len(saved[key]) for key in sorted(saved) if key.startswith("mlp.") and key.endswith(".bias")]
        generator = Generator(sight, tuple(widths[:-1]))
        generator.load_state_dict(saved)
    except (IndexError, RuntimeError) as error:
        raise VmError(f"not a generator that sees {sight} ({str(error).splitlines()[0]})") from None
    return generator.eval()
