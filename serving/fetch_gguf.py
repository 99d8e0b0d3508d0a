"""Downloads the files of a GGUF model into the hub's cache, then becomes the engine.

    python fetch_gguf.py REPO REVISION FILE… -- ENGINE … --model {model} …

A script in the engine's process, so that the supervisor shows its progress, may end it, and
reads in its log what went wrong. An unfinished download goes on where it stopped.
"""

import os
import sys
from pathlib import Path

MODEL = "{model}"


def main(words: list[str]) -> int:
    """Download, then replace this process; the first file is the model's."""
    from huggingface_hub import hf_hub_download

    split = words.index("--")
    (repo, revision, *names), argv = words[:split], words[split + 1 :]
    # In order, and the first one last: it is looked for to know whether the model is there.
    for name in [*names[1:], names[0]]:
        sys.stderr.write(f"downloading {name} from {repo}\n")
        path = hf_hub_download(repo, name, revision=revision or None)
    sys.stderr.write(f"downloaded {Path(path).name}\n")
    sys.stderr.flush()
    os.execv(argv[0], [path if word == MODEL else word for word in argv])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
