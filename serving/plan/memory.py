"""What an engine needs beside weights and KV cache, line by line, in bytes.

The lines are estimates, checked against what people published of vLLM's own log: on an RTX 4090
81,424 tokens for the 7B distill in 16 bits at utilisation 0.85, and 56,928 for the 14B in w4a16
at 0.90, both with 256 sequences (a test holds the sums to them); on an RTX 3090 with a 27B
model 0.47 GiB outside of torch, 1.09 GiB of activations, 0.71 GiB of CUDA graphs.
"""

from serving.hardware.findings import GIB, MIB
from serving.plan.result import Part
from serving.plan.shapes import Shape

UTILISATION = 0.92  # vLLM's default since 0.21
_CONTEXT = int(0.5 * GIB)
_MARGIN = int(0.25 * GIB)
_SAMPLER_BYTES = 20  # logits, probabilities and sorted copies of them (4 bytes each), indices (8)
_UBATCH = 512  # llama.cpp's physical batch


def activations(shape: Shape, tokens: int) -> Part:
    """The values between the layers' matrices for `tokens` at once: gate and up (one matrix),
    their product, and the layer's input, output and residual, in 16 bits."""
    width = 3 * shape.intermediate + 4 * shape.hidden
    how = f"{tokens:,} tokens × (3 × {shape.intermediate:,} + 4 × {shape.hidden:,}) × 2 bytes"
    return Part("activations", tokens * width * 2, how)


def vllm_overhead(shape: Shape, *, batched: int, sequences: int, devices: int = 1) -> list[Part]:
    """vLLM's lines for one device: its profile run measures the same things when it starts."""
    values = activations(shape, batched)
    if devices > 1:
        share = round(values.bytes / devices)
        values = Part(values.label, share, f"{values.how} / {devices} devices")
    sampler = sequences * shape.vocab * _SAMPLER_BYTES
    if sampler > values.bytes:  # the two are never needed at the same time
        how = f"{sequences} sequences × {shape.vocab:,} × {_SAMPLER_BYTES} bytes"
        values = Part("sampler", sampler, how)
    graphs = int((0.15 + 0.008 * shape.layers) * GIB)
    return [
        Part("CUDA context and libraries", _CONTEXT, "estimate; 0.47 GiB was seen on a 3090"),
        values,
        Part("CUDA graphs", graphs, f"estimate: 0.15 GiB + {shape.layers} layers × 8 MiB"),
        Part("margin", _MARGIN, "for what these estimates miss"),
    ]


def tpu_overhead(shape: Shape, *, batched: int) -> list[Part]:
    """vllm-tpu's lines: compiled programs and their scratch memory instead of CUDA's."""
    return [
        activations(shape, batched),
        Part("compiled programs", 1 * GIB, "estimate: XLA's code and scratch memory"),
        Part("margin", _MARGIN, "for what these estimates miss"),
    ]


def transformers_overhead(shape: Shape, *, context: int, nf4: bool, device: str) -> list[Part]:
    """transformers' lines: it reads a prompt at once, so the whole context has activations."""
    parts = []
    if device != "cpu":
        parts.append(Part("CUDA context and libraries", _CONTEXT, "estimate"))
    parts.append(activations(shape, context))
    if nf4:
        width = max(shape.intermediate, shape.hidden)
        how = f"{width:,} × {shape.hidden:,} × 2 bytes: one matrix, unpacked to compute with it"
        parts.append(Part("unpacked weights", width * shape.hidden * 2, how))
    parts.append(Part("margin", 2 * _MARGIN, "for the allocator's gaps and what is missed"))
    return parts


def llamacpp_overhead(shape: Shape) -> list[Part]:
    """llama.cpp's lines: one batch of 512 tokens and its logits in 32 bits."""
    logits = _UBATCH * shape.vocab * 4
    return [
        Part("compute buffer", logits, f"{_UBATCH} tokens × {shape.vocab:,} × 4 bytes"),
        activations(shape, _UBATCH),
        Part("margin", 200 * MIB, "for what these estimates miss"),
    ]
