#!/usr/bin/env bash
# The study of the variants: six trainings that differ in one switch, exported and evaluated on people they never saw.
#
#   benchmarks/variants/run.sh OUT CORPUS [SPEECH...]
#
# CORPUS is what `python -m training.data.corpus` writes (trained on its splits train and val, evaluated on test), SPEECH what
# `python -m training.speech.speech` writes. OUT gets runs/, bundles/ and report/. A call that was stopped goes on where it was.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=$1
shift
data=("$@")
variants=(unconditioned diffposetalk vae-baseline no-cross msmd msmd-anchor)

bundles=()
for variant in "${variants[@]}"; do
  run=$out/runs/$variant bundle=$out/bundles/$variant
  if [ ! -f "$bundle/bundle.json" ]; then
    msmd train --config "$here/study.yaml" --variant "$variant" --out "$run" \
      $([ -d "$run" ] && echo --resume) $(printf -- '--data %q ' "${data[@]}")
    msmd export-onnx "$run" --out "$bundle"
  fi
  bundles+=("$bundle")
done
msmd evaluate "${bundles[@]}" --data "${data[0]}" --out "$out/report" --steps 2 --seeds 1
