"""The settings of the model, its engine, and how it is asked."""

from typing import Any, Literal

from pydantic import BaseModel, Field, SecretStr, field_validator

from settings.common import A_WEEK, BUNDLED_MODEL, Key, http_address


class ModelSettings(BaseModel):
    """The model and its engine."""

    model: str = Field(
        BUNDLED_MODEL,
        min_length=1,
        description="The model: `tiny` (the bundled one), a folder, a GGUF file, or a Hugging Face "
        "model id (of GGUF files, with a quantisation: `org/name-GGUF:Q4_K_M`).",
    )
    engine: Literal[
        "auto", "transformers", "vllm", "llamacpp", "vllm-tpu", "zerogpu", "endpoint"
    ] = Field(
        "auto",
        description="Where the model runs: `transformers`, `vllm`, `llamacpp` or `vllm-tpu` "
        "(local servers that Hearth starts), `zerogpu` (in a ZeroGPU Space), `endpoint` (a server "
        "you name), or `auto` (endpoint if its address is set, what the model's plan names where "
        "that is installed, else transformers).",
    )
    endpoint_url: str = Field(
        "",
        description="Address of an OpenAI-compatible server, such as http://127.0.0.1:8000/v1.",
    )
    endpoint_key: Key = Field(
        SecretStr(""), description="The key that the endpoint asks for; never logged."
    )
    engine_port: int = Field(
        0, ge=0, le=65535, description="Port of the local engine on loopback; 0 takes a free one."
    )
    engine_start_timeout_seconds: float = Field(
        900,
        gt=0,
        le=A_WEEK,
        description="How long a local engine may take until it answers, in seconds.",
    )
    engine_context: int | None = Field(
        None,
        ge=256,
        description="Tokens of context of a local vLLM or llama.cpp engine; empty takes the "
        "plan's.",
    )
    engine_spare_gb: float = Field(
        0,
        ge=0,
        le=10_000,
        description="Memory that the plan of a local vLLM or llama.cpp engine leaves free, in "
        "10^9 bytes, beside what it leaves anyway.",
    )
    engine_smaller: Literal["same", "any", "never"] = Field(
        "same",
        description="What happens when a local engine runs out of memory: `same` "
        "takes the next smaller plan of the same model, `any` also a smaller model, `never` none; "
        "what isn't taken is offered.",
    )
    engine_keep_minutes: float = Field(
        0,
        ge=0,
        le=A_WEEK / 60,
        description="How long a local engine lives on after the last app that used it, in minutes; "
        "0 ends it with its app. A kept engine is found again by the next app.",
    )
    quantize: Literal["auto", "none", "nf4"] = Field(
        "auto",
        description="4-bit weights in the transformers engine: `auto` uses NF4 where CUDA is "
        "there and the model is not the bundled one; `nf4` works on a CPU too, slowly.",
    )

    # Generation; empty means: what the model's family recommends
    family: str = Field(
        "",
        description="How to talk to the model, such as `r1-distill` or `qwen3-no-thinking` "
        "(`python -m serving families` lists them); empty goes by the model's name.",
    )
    temperature: float | None = Field(
        None, ge=0, le=2, description="Sampling temperature; empty takes the model family's."
    )
    top_p: float | None = Field(
        None, gt=0, le=1, description="Nucleus sampling mass; empty takes the model family's."
    )
    max_tokens: int | None = Field(
        None, ge=16, description="Most tokens in one reply; empty takes the model family's."
    )
    thinking_tokens: int | None = Field(
        None,
        ge=0,
        description="Most tokens of thinking in one reply, of which a quarter is always left to "
        "act; empty takes the model family's.",
    )
    request_timeout_seconds: float = Field(
        600, gt=0, le=A_WEEK, description="How long one reply may take, in seconds."
    )

    @field_validator("endpoint_url")
    @classmethod
    def _endpoint_address(cls, value: str) -> str:
        return http_address(value)

    @field_validator(
        "engine_context", "temperature", "top_p", "max_tokens", "thinking_tokens", mode="before"
    )
    @classmethod
    def _empty_takes_the_family_s(cls, value: Any) -> Any:
        return None if value == "" else value
