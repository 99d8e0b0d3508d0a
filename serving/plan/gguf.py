"""The shape of a GGUF model: from its file's head, or from what is known of the model it was."""

import dataclasses

from errors import InputError
from serving.gguf_source import GgufSource, config_of
from serving.plan.known import CONFIGS
from serving.plan.shapes import Shape, shape_from_config


class UnknownShape(InputError):
    """The model has yet to be downloaded, and Hearth knows none of its name."""


def shape_of(found: GgufSource) -> Shape:
    """The shape, with the file's own bytes. Raises UnknownShape."""
    source = found.source
    checkpoint = str(found.file) if found.file and not source.from_hub else source.model_id
    if found.head is not None:
        config, whence = config_of(found.head), f"the head of {found.head.path.name}"
    else:
        bare = found.repo.rpartition("/")[2].removesuffix("-GGUF").removesuffix("-gguf")
        known = next((key for key in CONFIGS if key.rpartition("/")[2] == bare), None)
        if known is None:
            raise UnknownShape(
                f"The shape of {source.shown} is not known before it is downloaded.",
                fix="Start it (`make serve ENGINE=llamacpp MODEL=…`), or download its file and "
                "name that.",
            )
        config, whence = CONFIGS[known], f"known to Hearth ({known})"
    shape = shape_from_config(config, checkpoint, whence)
    bits = source.weight_bytes * 8 / shape.parameters
    return dataclasses.replace(shape, quantized="gguf", bits=bits)
