"""A generator's weights as arrays, and back."""

from __future__ import annotations

import numpy as np
import torch

from vm_core.errors import VmError
from vm_training.visual.generator import MEMORY_M, MEMORY_SIZE, OWN_SIZE, Generator, Sight


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
        if sight == "depth" and "eyes.mean" not in saved:
            saved = _with_new_eyes(saved, generator)
        generator.load_state_dict(saved)
    except (IndexError, RuntimeError) as error:
        raise VmError(f"not a generator that sees {sight} ({str(error).splitlines()[0]})") from None
    return generator.eval()


def _with_new_eyes(saved: dict[str, torch.Tensor], generator: Generator) -> dict[str, torch.Tensor]:
    """An earlier kind of generator that sees, as one that walks and has yet to learn to see and remember."""
    fresh = generator.state_dict()
    wider = torch.zeros_like(fresh["mlp.0.weight"])
    wider[:, :OWN_SIZE] = saved["mlp.0.weight"][:, :OWN_SIZE]
    nothing, spread = torch.zeros(MEMORY_SIZE), torch.full((MEMORY_SIZE,), 0.5 * MEMORY_M)
    norms = {
        "mean": torch.cat([saved["mean"][:OWN_SIZE], nothing]),
        "spread": torch.cat([saved["spread"][:OWN_SIZE], spread]),
    }
    kept = {key: value for key, value in saved.items() if key.startswith("mlp.") and key != "mlp.0.weight"}
    return fresh | kept | norms | {"mlp.0.weight": wider}
