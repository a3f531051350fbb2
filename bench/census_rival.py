"""The multi-task nets of torch-rechub as kinds of nets: trained by our trainer, on our inputs.

    pip install torch-rechub

Only the architectures are compared: inputs, draws, optimizer and schedule are the same. Its layers
have batch normalisation, and no linear term.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

from src.rankers.nets.base import InputSizes
from src.rankers.nets.multi_task import MultiTask

if TYPE_CHECKING:
    from torch import nn

    from src.rankers.nets.modules.layers import NetModule

EDGE = 1e-7
"""Its nets give probabilities; the logit is taken of those between this and 1 minus this."""


@dataclass(frozen=True)
class Rechub(MultiTask):
    """A net of torch-rechub with the sizes of ours."""

    kind: Literal["SharedBottom", "MMOE", "PLE"] = "MMOE"

    def trunk(self, width: int, heads: int) -> nn.Module:
        """It has no trunk of ours."""
        raise NotImplementedError

    def module(self, sizes: InputSizes) -> NetModule:
        """Make its net and a module around it; ImportError where the package is missing."""
        import torch

        from src.rankers.nets.modules.layers import NetModule

        features = import_module("torch_rechub.basic.features")
        kinds = import_module("torch_rechub.models.multi_task")
        dense = [features.DenseFeature(f"number_{n}") for n in range(sizes.numbers)]
        sparse = [
            features.SparseFeature(f"code_{n}", vocab_size=count, embed_dim=self.dim)
            for n, count in enumerate(sizes.categories)
        ]
        layers = {"dims": list(self.hidden), "activation": "relu", "dropout": self.dropout}
        tower = {"dims": list(self.tower), "activation": "relu", "dropout": self.dropout}
        more: dict[str, dict[str, Any]] = {
            "SharedBottom": {"bottom_params": layers},
            "MMOE": {"n_expert": 4, "expert_params": layers},
            "PLE": {"n_level": 2, "n_expert_specific": 2, "n_expert_shared": 2,
                    "expert_params": layers},
        }  # fmt: skip
        net = getattr(kinds, self.kind)(
            [*dense, *sparse], ["classification"] * sizes.objectives,
            **more[self.kind], tower_params_list=[tower] * sizes.objectives,
        )  # fmt: skip

        class Module(NetModule):
            """Its net, which takes a column by name."""

            def __init__(self) -> None:
                super().__init__()
                self.net = net

            def forward(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
                columns = {f"number_{n}": x for n, x in enumerate(batch["numbers"].unbind(1))}
                columns |= {f"code_{n}": x.long() for n, x in enumerate(batch["codes"].unbind(1))}
                logits: torch.Tensor = torch.logit(self.net(columns), eps=EDGE)
                return logits

        return Module()
