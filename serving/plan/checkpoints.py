"""The formats that weights are kept in, their bytes, and the repositories that hold them.

Bits a weight: w4a16 4 and a 16-bit scale per 128 (compressed-tensors, group size 128); NF4 with
double quantisation 4, an 8-bit scale per 64 and a 32-bit one per 64 × 256 (QLoRA, section 3);
GGUF Q4_K_M 4.91 over all of the model (llama.cpp #13788); MXFP4 4 and an 8-bit scale per 32
(OCP Microscaling 1.0), the experts alone. Embeddings, head, norms and biases stay in 16 bits in
all of them but GGUF.
"""

from dataclasses import dataclass

from serving.plan.shapes import Shape

Q4_K_M_BITS = 4.91


@dataclass(frozen=True)
class Format:
    """How weights are kept. `bits` is what one quantised weight takes, scales included."""

    name: str
    about: str
    bits: float
    all_weights: bool = False
    experts_only: bool = False

    def weight_bytes(self, shape: Shape) -> int:
        """The bytes of the whole model in this format."""
        if self.all_weights:
            return round(shape.parameters * self.bits / 8)
        quantised = shape.expert if self.experts_only else shape.linear
        others = shape.parameters - quantised
        return round(quantised * self.bits / 8) + others * 2

    def active_bytes(self, shape: Shape) -> int:
        """The bytes of weights that each generated token reads."""
        if self.all_weights:
            return round(shape.active * self.bits / 8)
        share = self.weight_bytes(shape) / (2 * shape.parameters)
        if shape.expert:
            return round(2 * shape.active * share)
        inactive = shape.parameters - shape.active  # the embedding: one row of it is read
        return self.weight_bytes(shape) - 2 * inactive

    def sum_text(self, shape: Shape) -> str:
        """The sum in words, so that anyone can check it."""
        if self.all_weights:
            return f"{_billions(shape.parameters)} parameters × {self.bits:.4g} bits"
        if self.bits == 16:
            return f"{_billions(shape.parameters)} parameters × 2 bytes"
        quantised = shape.expert if self.experts_only else shape.linear
        where = "in experts" if self.experts_only else "in layers"
        rest = _billions(shape.parameters - quantised)
        return f"{_billions(quantised)} {where} × {self.bits:g} bits + {rest} × 2 bytes"


def _billions(count: int) -> str:
    return f"{count / 1e9:.3f} billion"


FORMATS = {
    f.name: f
    for f in (
        Format("bf16", "16-bit weights, as published", 16),
        Format("fp8", "8-bit floating-point weights", 8),
        Format("w8a8", "8-bit integer weights", 8),
        Format("w4a16", "4-bit weights, 16-bit computation", 4.125),
        Format("nf4", "4-bit NF4, double quantisation", round(4 + 8 / 64 + 32 / (64 * 256), 3)),
        Format("gguf", "GGUF Q4_K_M", Q4_K_M_BITS, all_weights=True),
        Format("mxfp4", "4-bit MXFP4 experts, as published", 4.25, experts_only=True),
    )
}


@dataclass(frozen=True)
class Checkpoint:
    """A repository with a model's weights in one format."""

    repo: str
    format: Format


def checkpoints(shape: Shape) -> dict[str, str]:
    """The repositories known to hold a model, by format; its own under its own format.

    The quantised ones are Red Hat AI's (Neural Magic's) for vLLM and unsloth's for llama.cpp,
    by the names they have on huggingface.co.
    """
    own = shape.quantized or "bf16"
    known = {own: shape.model_id}
    owner, _, name = shape.model_id.partition("/")
    if shape.model_id.startswith("deepseek-ai/DeepSeek-R1-Distill-") or (
        owner == "Qwen" and name in _QWEN3
    ):
        known["fp8"] = f"RedHatAI/{name}-FP8-dynamic"
        known["w4a16"] = f"RedHatAI/{name}-quantized.w4a16"
        known["gguf"] = f"unsloth/{name}-GGUF"
    elif owner == "openai" and name.startswith("gpt-oss-"):
        known["gguf"] = f"ggml-org/{name}-GGUF"
    return known


_QWEN3 = {f"Qwen3-{size}" for size in ("0.6B", "1.7B", "4B", "8B", "14B", "32B", "30B-A3B")}
