#!/usr/bin/env bash
# Called by conda build in a copy of the repository: installs the programs into the package's prefix.
set -euo pipefail

export CARGO_PROFILE_RELEASE_STRIP=symbols
crates=(keras-model-config keras-model-builder keras-train-and-eval model-prediction ml-visualization-ex sklearn-to-categorical)
for crate in "${crates[@]}"; do
    # One target directory for all: what they share is built once.
    cargo install --locked --no-track --path "crates/$crate" --root "$PREFIX" --target-dir target
done
# The licences of everything that was linked in, as conda-forge asks for them.
if command -v cargo-bundle-licenses >/dev/null; then
    cargo-bundle-licenses --format yaml --output THIRDPARTY.yml
fi
