#!/bin/sh
# Follows $REFERENCE, for example acme/ticket-triage:production, and runs $ROLLOUT on each change. Needs GRADUS_SERVER,
# and in IDENTITY_FILE the pod's service account token; for a registry that trusts no issuer, GRADUS_TOKEN instead.
set -eu
: "${REFERENCE:?}" "${ROLLOUT:?}" "${GRADUS_SERVER:?}"
[ -n "${GRADUS_TOKEN:-}" ] || \
  gradus login "$GRADUS_SERVER" --oidc --namespace "${REFERENCE%%/*}" --identity-file "$IDENTITY_FILE"
# When its token has ended and the stream does, this ends too; started again, it logs in and goes on where it was.
exec gradus watch "$REFERENCE" --retries 2 --exec "$ROLLOUT"
