#!/bin/sh
# Fetches $MODEL, for example acme/ticket-triage:production, into the folder $OUT and verifies it, for an
# initContainer. Needs GRADUS_SERVER, and in IDENTITY_FILE the pod's service account token; for a registry that trusts
# no issuer, GRADUS_TOKEN instead.
set -eu
: "${MODEL:?}" "${OUT:?}" "${GRADUS_SERVER:?}"
export XDG_CONFIG_HOME="${XDG_CONFIG_HOME:-/tmp/gradus}"
[ -n "${GRADUS_TOKEN:-}" ] || \
  gradus login "$GRADUS_SERVER" --oidc --namespace "${MODEL%%/*}" --identity-file "$IDENTITY_FILE"

# Asked once, and by digest from then on: the stage may move between two commands.
# It prints WORKLOAD:VERSION DIGEST and more.
line=$(gradus resolve "$MODEL")
digest=${line#* }
digest=${digest%% *}
exact="${line%%:*}@$digest"

# A container that is started again finds what its last try left: a part of this version, or another one.
begun="$XDG_CONFIG_HOME/begun"
if [ "$(cat "$begun" 2> /dev/null)" != "$exact" ]; then
  find "$OUT" -mindepth 1 -delete
fi
mkdir -p "$XDG_CONFIG_HOME"
echo "$exact" > "$begun"
gradus pull "$exact" --out "$OUT"
# That these are all files and no others, and, with a key, that the registry's log binds them to name and version.
gradus verify "$exact" "$OUT" ${GRADUS_LOG_KEY:+--log-key "$GRADUS_LOG_KEY"}
