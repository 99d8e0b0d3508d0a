#!/usr/bin/env bash
# Sets Hearth up on a Colab runtime, or on any Linux machine where `make` is missing:
#
#     bash colab_setup.sh                                         # for the 7B distill
#     bash colab_setup.sh deepseek-ai/DeepSeek-R1-Distill-Qwen-14B
#
# It makes Hearth's own environment in .venv, says what the runtime has and how the model would
# be served on it, and installs the engine that the plan names. Nothing goes into Colab's Python.
# Run it again as often as you like: what is done is not done again. It starts nothing.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")"
say() { printf 'colab: %s\n' "$*"; }

# What Colab sets for its own kernel must not reach Hearth's environment.
unset PYTHONPATH UV_SYSTEM_PYTHON UV_CONSTRAINT UV_BUILD_CONSTRAINT PIP_CONSTRAINT MPLBACKEND

fits='import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))'
python=""
for name in python3.12 python3.13 python3.11 python3; do
    if command -v "$name" >/dev/null && "$name" -c "$fits" 2>/dev/null; then
        python=$name
        break
    fi
done
if [ -z "$python" ]; then
    say "Hearth needs Python 3.11, 3.12 or 3.13: pick a newer runtime version (Runtime menu)."
    exit 1
fi

# Colab's Python lacks ensurepip, so `venv` fails there; uv, which Colab has, needs none.
if [ ! -x .venv/bin/python ] && ! "$python" -c 'import ensurepip' 2>/dev/null; then
    if ! command -v uv >/dev/null; then
        say "$python can't make an environment: apt-get install python3-venv, then run this again."
        exit 1
    fi
    say "making .venv with uv"
    uv venv --quiet --seed --python "$python" .venv
fi
say "Hearth's environment (minutes the first time)"
"$python" scripts/setup.py

model=("$@")
hearth=.venv/bin/python
say "what this runtime has"
"$hearth" -m serving hardware
say "how the model would be served"
status=0
"$hearth" -m serving plan ${model[@]+--model "${model[@]}"} || status=$?
if [ "$status" -ne 0 ] && [ "$status" -ne 3 ]; then exit "$status"; fi # 3: it doesn't fit

engine=$({ "$hearth" -m serving plan --json ${model[@]+--model "${model[@]}"} || true; } | "$hearth" -c '
import json, sys
plan = json.load(sys.stdin)
print((plan if plan["fits"] else plan["next"] or {}).get("engine", ""))')
case "$engine" in
    transformers | "" | zerogpu) ;; # nothing more to install
    *)
        if "$hearth" -m serving install --help >/dev/null 2>&1; then
            say "the engine $engine, in an environment of its own (minutes the first time)"
            if ! "$hearth" -m serving install "$engine"; then
                [ "$engine" = vllm-tpu ] || exit 1
                say "vllm-tpu is experimental: without it models are served on the CPU."
            fi
        else
            say "the engine $engine is not installed: this version of Hearth serves with transformers."
        fi
        ;;
esac
say "done: .venv/bin/python -m agent \"…\" asks, .venv/bin/python app.py starts the page"
