#!/bin/sh
# Reports what became of $MODEL, a version by digest in $STAGE, on $TARGET: the status that the name of $JOB ends in,
# running or failed. Needs GRADUS_SERVER, and in IDENTITY_FILE the pod's service account token.
set -eu
: "${MODEL:?}" "${STAGE:?}" "${TARGET:?}" "${JOB:?}" "${GRADUS_SERVER:?}"
export XDG_CONFIG_HOME="${XDG_CONFIG_HOME:-/tmp/gradus}"
[ -n "${GRADUS_TOKEN:-}" ] || \
  gradus login "$GRADUS_SERVER" --oidc --namespace "${MODEL%%/*}" --identity-file "$IDENTITY_FILE"
# 3: by its policy the stage has gone back for it, which is no reason to report again.
gradus deployment report "$MODEL" --stage "$STAGE" --target "$TARGET" --status "${JOB##*-}" ${URL:+--url "$URL"} \
  || [ $? -eq 3 ]
