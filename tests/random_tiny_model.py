"""A randomly initialised model of toy size, in the shape of R1-Distill-Qwen.

It speaks nonsense, but it is a whole model folder: Qwen2 weights in safetensors, a byte
tokenizer, and a chat template that opens the thinking, with `<think>` and `</think>` as
ordinary added tokens. Enough for a real engine to load and to stream from.
"""

from pathlib import Path

BOS, EOS = "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>"
USER, ASSISTANT = "<｜User｜>", "<｜Assistant｜>"

_ADDED = 6  # tokens beside the bytes: these four, and the tags of the thinking

CHAT_TEMPLATE = (
    "{{ bos_token }}"
    "{% for message in messages %}"
    "{% if message['role'] == 'assistant' %}"
    "{{ '" + ASSISTANT + "' + message['content'].split('</think>')[-1].strip() + '" + EOS + "' }}"
    "{% elif message['role'] == 'system' %}{{ message['content'] }}"
    "{% else %}{{ '" + USER + "' + message['content'] }}{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '" + ASSISTANT + "<think>\\n' }}{% endif %}"
)


def build_random_model(folder: Path, *, seed: int = 0, never_ends: bool = True) -> Path:
    """Write the model into `folder` (made if absent) and return it; a second or two of work.

    `never_ends` makes end-of-sentence impossible, so that a reply lasts until max_tokens:
    what a test of cancelling or of limits needs.
    """
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = write_tokenizer(folder)
    torch.manual_seed(seed)
    vocabulary = tokenizer.get_vocab()
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        bos_token_id=vocabulary[BOS],
        eos_token_id=vocabulary[EOS],
        dtype="float32",
    )
    model = Qwen2ForCausalLM(config)
    model.generation_config.do_sample = True
    model.generation_config.temperature = 0.6
    model.generation_config.top_p = 0.95
    if never_ends:
        model.generation_config.suppress_tokens = [vocabulary[EOS]]
    model.save_pretrained(folder)
    return folder


def write_tokenizer(folder: Path, *, size: int = 0, context: int = 2048):  # type: ignore[no-untyped-def]
    """Save the byte tokenizer and its chat template into `folder`; returns the tokenizer.

    `size`: with names for so many ids in all, so that a larger model's tokens can all be said.
    """
    from transformers import PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=_byte_tokenizer(size),
        bos_token=BOS,
        eos_token=EOS,
        pad_token=EOS,
        chat_template=CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
        model_max_length=context,
    )
    tokenizer.save_pretrained(folder)
    return tokenizer


def _byte_tokenizer(size: int):  # type: ignore[no-untyped-def]
    from tokenizers import AddedToken, Tokenizer, decoders, pre_tokenizers
    from tokenizers.models import BPE

    words = sorted(pre_tokenizers.ByteLevel.alphabet())
    words += [f"w{number}" for number in range(len(words) + _ADDED, size)]
    tokenizer = Tokenizer(BPE(vocab={word: i for i, word in enumerate(words)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(t, special=True) for t in (BOS, EOS)])
    ordinary = [USER, ASSISTANT, "<think>", "</think>"]
    tokenizer.add_tokens([AddedToken(t, special=False, normalized=False) for t in ordinary])
    return tokenizer
