#!/usr/bin/env bash
# What the action runs. Everything comes in by environment variables; see action.yml for what each means.
set -euo pipefail

say() {
  echo "$1=$2" >> "$GITHUB_OUTPUT"
}

# Reads "WORKLOAD:VERSION DIGEST …", which push and pull print, and says both ways to name the version.
say_version() {
  local name digest
  read -r name digest _ <<< "$1"
  say version "$name"
  say reference "${name%:*}@$digest"
}

need() {
  if [ -z "${!1:-}" ]; then
    echo "::error::$COMMAND needs the input $2"
    exit 2
  fi
}

push() {
  need WORKLOAD workload
  need CONTENT path
  local options=() file line
  [ -z "${CONTRACT:-}" ] || options+=(--contract "$CONTRACT")
  [ -z "${BASE:-}" ] || options+=(--base "$BASE")
  [ -z "${DATASET:-}" ] || options+=(--dataset "$DATASET")
  while IFS= read -r file; do
    [ -z "$file" ] || options+=(--evidence "$file")
  done <<< "${EVIDENCE:-}"
  line=$(gradus push "$CONTENT" --to "$WORKLOAD" "${options[@]}")
  echo "$line"
  say_version "$line"
}

promote() {
  need REFERENCE reference
  local code=0
  gradus promote "$REFERENCE" --to "${STAGE:-staging}" || code=$?
  case $code in
    0) say state promoted ;;
    4)
      # It completes by itself when the last gate passes; the job has nothing to wait for.
      say state pending
      [ "${PENDING:-ok}" = ok ] || exit 4
      ;;
    *) exit "$code" ;;
  esac
}

pull() {
  need REFERENCE reference
  local line name digest
  line=$(gradus pull "$REFERENCE" --out "${OUT:-model}")
  echo "$line"
  say_version "$line"
  # By digest, so that it is the version just pulled that is checked, wherever the stage is by now. It also refuses
  # files that were there before.
  read -r name digest _ <<< "$line"
  gradus verify "${name%:*}@$digest" "${OUT:-model}" ${LOG_KEY:+--log-key "$LOG_KEY"}
}

report() {
  need REFERENCE reference
  need TARGET target
  local options=()
  [ -z "${URL:-}" ] || options+=(--url "$URL")
  [ -z "${HEALTH:-}" ] || options+=(--health "$HEALTH")
  [ -z "${MESSAGE:-}" ] || options+=(-m "$MESSAGE")
  gradus deployment report "$REFERENCE" ${STAGE:+--stage "$STAGE"} --target "$TARGET" \
    --status "${STATUS:-running}" "${options[@]}"
}

case "$COMMAND" in
  push | promote | pull | report) ;;
  *)
    echo "::error::no such command: $COMMAND (push, promote, pull or report)"
    exit 2
    ;;
esac

# The login is this step's: its token lives for minutes, and is forgotten when the step ends. A token of one's own is
# for registries that trust no issuer of identities yet.
if [ -z "${GRADUS_TOKEN:-}" ]; then
  export XDG_CONFIG_HOME="${RUNNER_TEMP:?}/gradus-login"
  trap 'gradus logout --quiet > /dev/null' EXIT
  name=${REFERENCE:-$WORKLOAD}
  gradus login "$GRADUS_SERVER" --oidc --namespace "${name%%/*}"
fi
"$COMMAND"
