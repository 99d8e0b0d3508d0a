"""The arithmetic behind a plan, held to transformers' own modules and to published figures."""

import itertools
from typing import Any

import pytest

from errors import InputError
from serving.plan.checkpoints import FORMATS
from serving.plan.devices import Device
from serving.plan.known import CONFIGS
from serving.plan.memory import llamacpp_overhead, transformers_overhead, vllm_overhead
from serving.plan.shapes import Shape, shape_from_config
from serving.plan.sizes import batched_tokens, utilisation

GIB = 1 << 30
R1 = "deepseek-ai/DeepSeek-R1-Distill-Qwen-"


def shape(model_id: str) -> Shape:
    return shape_from_config(CONFIGS[model_id], model_id, "known")


def counted(config: dict[str, Any]) -> int:
    """The parameters of a model that transformers builds from `config`, on no device."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    known = {k: v for k, v in config.items() if k != "quantization_config"}
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(**known))
    return model.num_parameters()


@pytest.mark.parametrize("model_id", CONFIGS)
def test_known_models_have_as_many_parameters_as_transformers_builds(model_id: str) -> None:
    assert shape(model_id).parameters == counted(CONFIGS[model_id])


def small(kind: str, **more: Any) -> dict[str, Any]:
    architecture = {
        "qwen2": "Qwen2ForCausalLM",
        "llama": "LlamaForCausalLM",
        "mistral": "MistralForCausalLM",
        "qwen3": "Qwen3ForCausalLM",
        "qwen3_moe": "Qwen3MoeForCausalLM",
        "gpt_oss": "GptOssForCausalLM",
    }[kind]
    return {
        "model_type": kind,
        "architectures": [architecture],
        "num_hidden_layers": 3,
        "hidden_size": 64,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "intermediate_size": 96,
        "vocab_size": 500,
        "max_position_embeddings": 512,
        "head_dim": 16,
    } | more


MOE = {"num_experts": 6, "num_experts_per_tok": 2, "moe_intermediate_size": 40}
VARIANTS = [
    small(kind, tie_word_embeddings=tied, head_dim=head_dim)
    for kind, tied, head_dim in itertools.product(
        ("qwen2", "llama", "mistral", "qwen3"), (True, False), (16, 24)
    )
] + [
    small("llama", attention_bias=True, mlp_bias=True),
    small("qwen3", attention_bias=True),
    small("qwen3_moe", **MOE),
    small("qwen3_moe", **MOE, mlp_only_layers=[1], attention_bias=True),
    small("qwen3_moe", **MOE, decoder_sparse_step=2),
    small("gpt_oss", num_local_experts=4, num_experts_per_tok=2),
]


@pytest.mark.parametrize("config", VARIANTS, ids=lambda c: c["model_type"])
def test_any_dimensions_are_counted_as_transformers_builds_them(config: dict[str, Any]) -> None:
    config = {"tie_word_embeddings": False} | config
    assert shape_from_config(config, "x", "test").parameters == counted(config)


def test_a_config_that_transformers_wrote_is_read_back_the_same() -> None:
    """What a saved config leaves out must not change the count."""
    from transformers import AutoConfig

    for config in (CONFIGS[f"{R1}7B"], CONFIGS["Qwen/Qwen3-4B"], VARIANTS[-1]):
        saved = AutoConfig.for_model(**config).to_diff_dict()
        saved["architectures"] = config["architectures"]
        again = shape_from_config(saved, "x", "test")
        assert again.parameters == shape_from_config(config, "x", "test").parameters


def test_the_cache_of_a_token_is_that_of_a_real_model() -> None:
    """Two tokens through a small random model: the bytes its cache holds."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    for kind in ("qwen2", "qwen3"):
        config = small(kind)
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(**config))
        with torch.no_grad():
            cache = model(torch.tensor([[1, 2]]), use_cache=True).past_key_values
        held = sum(
            tensor.numel() * 2  # two bytes a value, as in bfloat16
            for layer in cache.layers
            for tensor in (layer.keys, layer.values)
        )
        assert shape_from_config(config, "x", "test").kv_bytes_per_token() * 2 == held


# the figures of facts and of others ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "format_name", "billions"),
    [
        ("7B", "bf16", 15.23),
        ("7B", "fp8", 8.7),
        ("7B", "w4a16", 5.55),
        ("7B", "nf4", 5.55),
        ("7B", "gguf", 4.67),
        ("14B", "bf16", 29.54),
        ("32B", "bf16", 65.53),
        ("1.5B", "bf16", 3.55),
    ],
)
def test_the_bytes_of_checkpoints(size: str, format_name: str, billions: float) -> None:
    """What the repositories' files weigh, in 10^9 bytes."""
    weighs = FORMATS[format_name].weight_bytes(shape(R1 + size)) / 1e9
    assert weighs == pytest.approx(billions, rel=0.005)


def test_gpt_oss_weighs_what_its_repository_does() -> None:
    """12.8 GiB in MXFP4 (its model card), of which a token reads 3.6 billion parameters."""
    twenty = shape("openai/gpt-oss-20b")
    assert FORMATS["mxfp4"].weight_bytes(twenty) / GIB == pytest.approx(12.8, abs=0.1)
    assert twenty.active / 1e9 == pytest.approx(3.6, abs=0.05)
    assert (twenty.sliding, twenty.window) == (12, 128)


@pytest.mark.parametrize(
    ("size", "format_name", "share", "tokens"),
    [("7B", "bf16", 0.85, 81_424), ("14B", "w4a16", 0.90, 56_928)],
)
def test_vllm_fits_about_as_many_tokens_as_it_did_for_others(
    size: str, format_name: str, share: float, tokens: int
) -> None:
    """Published sizes of vLLM's cache on an RTX 4090 (23.52 GiB), with its 256 sequences.

    The estimate may be lower, as it keeps a margin, but not by more than a tenth, and no higher.
    """
    model = shape(R1 + size)
    beside = vllm_overhead(model, batched=2048, sequences=256)
    left = 23.52 * GIB * share - FORMATS[format_name].weight_bytes(model)
    held = (left - sum(p.bytes for p in beside)) / model.kv_bytes_per_token()
    assert 0.9 * tokens <= held <= tokens


def test_the_lines_beside_the_weights_grow_with_what_they_count() -> None:
    model = shape(f"{R1}7B")

    def total(parts: list[Any]) -> int:
        return sum(part.bytes for part in parts)

    few = total(vllm_overhead(model, batched=2048, sequences=8))
    assert 1.0 * GIB < few < 1.5 * GIB  # what facts say of a 7B
    assert total(vllm_overhead(model, batched=8192, sequences=8)) > few
    assert total(vllm_overhead(model, batched=2048, sequences=8, devices=2)) < few
    short = total(transformers_overhead(model, context=4096, nf4=True, device="cuda"))
    long = total(transformers_overhead(model, context=16384, nf4=True, device="cuda"))
    assert long - short == 12288 * (3 * 18944 + 4 * 3584) * 2
    assert total(llamacpp_overhead(model)) < GIB


def test_the_share_of_a_card_that_others_use() -> None:
    """vLLM refuses to start when the share that it is told isn't free."""
    assert utilisation(15 * GIB, 15 * GIB) == 0.92
    for free in (1, 4, 7.15, 7.3, 7.6):
        share = utilisation(int(7.63 * GIB), int(free * GIB))
        assert share * 7.63 <= free and share <= 0.92
    assert utilisation(8 * GIB, 0) == 0.0


def test_tokens_of_a_pass_are_vllms_own_choice() -> None:
    assert batched_tokens(15 * GIB, "Tesla T4") == 2048
    assert batched_tokens(79 * GIB, "NVIDIA A100-SXM4-80GB") == 2048
    assert batched_tokens(79 * GIB, "NVIDIA H100 80GB HBM3") == 8192
    assert batched_tokens(180 * GIB, "NVIDIA B200") == 16384


def test_several_devices_have_one_name() -> None:
    card = Device("cuda", "Tesla T4", 1, 1, count=2)
    assert card.title == "2 × Tesla T4"


# configs that are none ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"architectures": ["BertModel"]}, "is a BertModel, which does not generate text"),
        ({"architectures": None}, "names no architecture"),
        ({"num_hidden_layers": None}, "no usable num_hidden_layers"),
        ({"vocab_size": "many"}, "no usable vocab_size (it is 'many')"),
        ({"hidden_size": -1}, "no usable hidden_size"),
        ({"num_attention_heads": True}, "no usable num_attention_heads"),
        ({"num_attention_heads": 0, "head_dim": None}, "no usable num_attention_heads"),
    ],
)
def test_what_is_no_language_model_is_one_clear_error(change: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as caught:
        shape_from_config(small("qwen2") | change, "org/odd", "test")
    assert said in caught.value.message and "org/odd" in caught.value.message
    assert "HEARTH_MODEL" in caught.value.fix


def test_an_unknown_architecture_is_taken_for_a_llama_and_said_to_be() -> None:
    strange = small("llama") | {"model_type": "strange", "architectures": ["StrangeForCausalLM"]}
    like = shape_from_config(small("llama"), "x", "test")
    found = shape_from_config(strange, "x", "test")
    assert found.parameters == like.parameters and like.exact and not found.exact


def test_a_multimodal_model_is_counted_by_its_text_part() -> None:
    config = {
        "model_type": "qwen3_vl",
        "architectures": ["Qwen3VLForConditionalGeneration"],
        "text_config": small("qwen3"),
    }
    found = shape_from_config(config, "x", "test")
    assert found.parameters == shape_from_config(small("qwen3"), "x", "test").parameters
    assert not found.exact  # the vision tower is not counted


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"quant_method": "mxfp4"}, "mxfp4"),
        ({"quant_method": "fp8"}, "fp8"),
        ({"quant_method": "gptq", "bits": 4}, "w4a16"),
        ({"quant_method": "awq", "w_bit": 4}, "w4a16"),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, "nf4"),
        (
            {
                "quant_method": "compressed-tensors",
                "config_groups": {"group_0": {"weights": {"num_bits": 4, "type": "int"}}},
            },
            "w4a16",
        ),
        (
            {
                "quant_method": "compressed-tensors",
                "config_groups": {
                    "group_0": {
                        "weights": {"num_bits": 8, "type": "float"},
                        "input_activations": {"num_bits": 8, "type": "float"},
                    }
                },
            },
            "fp8",
        ),
        (
            {
                "quant_method": "compressed-tensors",
                "config_groups": {
                    "group_0": {
                        "weights": {"num_bits": 8, "type": "int"},
                        "input_activations": {"num_bits": 8, "type": "int"},
                    }
                },
            },
            "w8a8",
        ),
        ({"quant_method": "compressed-tensors"}, "compressed"),
        ({"quant_method": "new"}, "new"),
    ],
)
def test_how_a_checkpoint_is_quantised(settings: dict[str, Any], name: str) -> None:
    config = small("qwen2") | {"quantization_config": settings}
    assert shape_from_config(config, "x", "test").quantized == name
