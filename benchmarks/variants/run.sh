#!/usr/bin/env bash
# The study of the variants: trainings that differ in one switch, three seeds of the two that are nearest, evaluated on people they never saw.
#
#   benchmarks/variants/run.sh OUT CORPUS PERFORMED
#
# CORPUS is what `python -m training.data.corpus` writes (trained on its splits train and val, evaluated on test), PERFORMED what
# `python -m training.speech.performed` writes. OUT gets runs/, bundles/ and report/. A call that was stopped goes on where it was.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=$1 corpus=$2 performed=$3
trainings=(msmd/0 no-cross/0 vae-baseline/0 unconditioned/0 diffposetalk/0 msmd-anchor/0 msmd/1 no-cross/1 msmd/2 no-cross/2)

bundles=()
for training in "${trainings[@]}"; do
  variant=${training%/*} seed=${training#*/}
  run=$out/runs/$variant-$seed bundle=$out/bundles/$variant-$seed
  if [ ! -f "$bundle/bundle.json" ]; then
    msmd train --config "$here/study.yaml" --variant "$variant" --seed "$seed" --out "$run" \
      $([ -d "$run" ] && echo --resume) --data "$corpus" --data "$performed"
    msmd export-onnx "$run" --out "$bundle"
  fi
  bundles+=("$bundle")
done
msmd evaluate "${bundles[@]}" --data "$corpus" --out "$out/report" --steps 2 --seeds 1 --model-alone
