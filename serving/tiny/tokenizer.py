"""The bundled model's tokenizer: byte-level BPE, cut so that a tiny model can copy.

A model of five million parameters answers by copying words and numbers from the task into
code. So the same word must give the same tokens wherever it stands. transformers 5 gives every
tokenizer beside a `qwen2` config Qwen2's own normalizer (NFC) and pre-tokenizer, whatever
tokenizer.json says, and those glue a space or a bracket to the word behind it. The way round it:
the merges are learned on finer pieces (one digit | letters | underscores | spaces | newlines |
at most two punctuation marks), so that no merge ever reaches across two of them, and the file
then names Qwen2's pieces. Every loader sees the same ids, and " total", "[total" and a line that
starts with "total" end in the same tokens. (One exception comes with Qwen2's pieces: it cuts
contractions such as 's and 't off a quote that opens a line.)

All bytes are in the vocabulary, so any text in NFC survives a round trip unchanged.
"""

import json
from collections.abc import Iterable
from pathlib import Path

from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    trainers,
)

from serving.tiny.template import BOS, CHAT_TEMPLATE, EOS, SPECIAL_TOKENS, THINKING_TOKENS

VOCAB_SIZE = 1536
MAX_TOKENS = 2048

QWEN2_PIECES = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""PRETOKENIZE_REGEX of transformers' Qwen2Tokenizer."""

FINE_PIECES = r"\p{L}+|\p{N}|_+|\n{1,2}| +|\s|[^\s\p{L}\p{N}_]{1,2}"
"""What a merge may never reach across."""


def _split(pattern: str) -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.Split(Regex(pattern), behavior="isolated")


def train_tokenizer(texts: Iterable[str], vocab_size: int = VOCAB_SIZE) -> Tokenizer:
    """Learn the merges from `texts` (tasks, thinking, code, observations).

    The result has at most `vocab_size` entries: the special tokens first (ids from 0), then
    the 256 bytes and the merges, then the two thinking markers. The same texts in the same
    order give the same tokenizer.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.decoder = decoders.ByteLevel()
    to_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    pieces = [_split(QWEN2_PIECES), _split(FINE_PIECES), to_bytes]
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(pieces)
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - len(THINKING_TOKENS),
        min_frequency=2,
        show_progress=False,
        special_tokens=[AddedToken(t, special=True, normalized=False) for t in SPECIAL_TOKENS],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )
    tokenizer.train_from_iterator(texts, trainer)
    thinking = [AddedToken(t, special=False, normalized=False) for t in THINKING_TOKENS]
    tokenizer.add_tokens(thinking)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([_split(QWEN2_PIECES), to_bytes])
    return tokenizer


def tokenizer_config() -> dict[str, object]:
    """`tokenizer_config.json`; without `unk_token` Qwen2Tokenizer would add one of its own."""
    return {
        "tokenizer_class": "Qwen2Tokenizer",
        "bos_token": BOS,
        "eos_token": EOS,
        "pad_token": EOS,
        "unk_token": EOS,
        "model_max_length": MAX_TOKENS,
        "clean_up_tokenization_spaces": False,
        "padding_side": "left",
    }


def save_tokenizer(tokenizer: Tokenizer, folder: Path) -> None:
    """Write tokenizer.json, tokenizer_config.json and chat_template.jinja into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = json.dumps(tokenizer_config(), indent=2, ensure_ascii=False)
    (folder / "tokenizer_config.json").write_text(config + "\n", encoding="utf-8")
    (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE, encoding="utf-8")


def load_tokenizer(folder: Path) -> Tokenizer:
    """The raw tokenizer of `folder` (no transformers needed)."""
    return Tokenizer.from_file(str(folder / "tokenizer.json"))
