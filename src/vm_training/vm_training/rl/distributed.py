"""Several processes that learn one policy, as `torchrun` starts them; gloo on CPUs, nccl on GPUs."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn


@dataclass(frozen=True)
class Workers:
    """This process among all of a run.

    Attributes:
        rank: of this one.  count: of all.
    """

    rank: int = 0
    count: int = 1

    @staticmethod
    def from_environment() -> Workers:
        """Joins the group that `torchrun` describes; alone without one."""
        count = int(os.environ.get("WORLD_SIZE", "1"))
        if count == 1:
            return Workers()
        backend = "nccl" if torch.cuda.is_available() else "gloo"
        torch.distributed.init_process_group(backend=backend)
        return Workers(torch.distributed.get_rank(), count)

    @property
    def is_first(self) -> bool:
        """Whether this process writes files."""
        return self.rank == 0

    @property
    def rsl_rl_config(self) -> dict[str, Any] | None:
        """What rsl_rl's PPO wants to know."""
        if self.count == 1:
            return None
        return {"global_rank": self.rank, "local_rank": self.rank, "world_size": self.count}

    def share(self, *models: nn.Module) -> None:
        """Gives everybody the first process' weights."""
        if self.count == 1:
            return
        for model in models:
            for tensor in model.state_dict().values():
                torch.distributed.broadcast(tensor, src=0)

    def leave(self) -> None:
        """Ends the group."""
        if self.count > 1:
            torch.distributed.destroy_process_group()
