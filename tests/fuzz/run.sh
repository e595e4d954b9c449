#!/bin/sh
# Builds every fuzz target with coverage on the stable compiler and runs each for SECONDS_EACH (default 120).
# New inputs go to target/found, never into the committed corpus; crashers to target/crashes.
set -eu
cd "$(dirname "$0")"
target="${CARGO_TARGET_DIR:-target}"
RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1" \
    ${CARGO:-cargo} build --release --target "$(rustc -vV | sed -n 's/^host: //p')"
bin="$target/$(rustc -vV | sed -n 's/^host: //p')/release"
for name in ${*:-safetensors gguf onnx pickle adapter artifact}; do
    mkdir -p "$target/found/$name" "$target/crashes"
    seeds="corpus/$name"
    [ -d "$seeds" ] || seeds=""
    nice "$bin/$name" -max_total_time="${SECONDS_EACH:-120}" -rss_limit_mb=1024 -timeout=10 -max_len=65536 \
        -print_final_stats=1 -artifact_prefix="$target/crashes/$name-" "$target/found/$name" $seeds
done
