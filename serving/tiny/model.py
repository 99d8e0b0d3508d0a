"""The bundled model's shape and its optimiser."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from serving.tiny.tokenizer import MAX_TOKENS, VOCAB_SIZE

if TYPE_CHECKING:
    import torch

MAX_FILE_BYTES = 10_000_000
"""The weights as exported may not be larger than this."""


@dataclass(frozen=True)
class Shape:
    """A Qwen2 shape; heads are 64 wide, which vLLM's CPU attention asks for."""

    vocab_size: int = VOCAB_SIZE
    hidden_size: int = 256
    intermediate_size: int = 704
    num_hidden_layers: int = 6
    num_attention_heads: int = 4
    num_key_value_heads: int = 2

    def config(self) -> Any:
        """The transformers configuration."""
        from transformers import Qwen2Config

        values: dict[str, Any] = asdict(self) | {
            "head_dim": 64,
            "max_position_embeddings": MAX_TOKENS,
            "tie_word_embeddings": True,
            "rope_parameters": {"rope_type": "default", "rope_theta": 10_000.0},
            "bos_token_id": 0,
            "eos_token_id": 1,
            "pad_token_id": 1,
        }
        return Qwen2Config(**values)


def new_model(shape: Shape, seed: int) -> Any:
    """A freshly initialised Qwen2ForCausalLM, the same for the same seed."""
    import torch
    from transformers import Qwen2ForCausalLM

    torch.manual_seed(seed)
    config = shape.config()
    # On short sequences torch's plain attention is half as fast again as the fused one on a CPU.
    config._attn_implementation = "sdpa" if torch.cuda.is_available() else "eager"
    return Qwen2ForCausalLM(config)


class Optimiser:
    """Muon for the layers' matrices, AdamW for embeddings, norms and biases, as one."""

    def __init__(self, model: Any, rate: float, weight_decay: float, muon: bool = True) -> None:
        import torch

        matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and "embed" not in n]
        others = [p for n, p in model.named_parameters() if p.ndim != 2 or "embed" in n]
        self._rate = rate
        if not muon:
            matrices, others = [], [*matrices, *others]
        adam = torch.optim.AdamW(
            [
                {"params": [p for p in others if p.ndim == 2], "weight_decay": weight_decay},
                {"params": [p for p in others if p.ndim != 2], "weight_decay": 0.0},
            ],
            lr=rate,
            betas=(0.9, 0.98),
            fused=True,
        )
        self._parts: list[torch.optim.Optimizer] = [adam]
        if matrices:
            self._parts.append(
                torch.optim.Muon(
                    matrices,
                    lr=rate,
                    weight_decay=weight_decay,
                    adjust_lr_fn="match_rms_adamw",
                )
            )

    def step(self, share: float) -> None:
        """One update at `share` (0 to 1) of the full rate; clears the gradients."""
        for part in self._parts:
            for group in part.param_groups:
                group["lr"] = self._rate * share
            part.step()
            part.zero_grad(set_to_none=True)

    def state(self) -> list[dict[str, Any]]:
        """What `restore` needs."""
        return [part.state_dict() for part in self._parts]

    def restore(self, state: list[dict[str, Any]]) -> None:
        """Go on from `state`."""
        for part, saved in zip(self._parts, state, strict=True):
            part.load_state_dict(saved)


def loss_of(model: Any, ids: "torch.Tensor", targets: "torch.Tensor") -> "torch.Tensor":
    """Mean cross-entropy over the positions that have a target.

    No attention mask: padding is on the right, and no token looks to its right.
    """
    import torch

    hidden = model.model(input_ids=ids, use_cache=False).last_hidden_state
    counted = targets != -100
    logits = model.lm_head(hidden[counted])
    return torch.nn.functional.cross_entropy(logits.float(), targets[counted])
