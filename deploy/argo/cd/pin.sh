#!/bin/sh
# Writes the version that a stage has moved to into git, from where Argo CD takes it:
#
#   gradus watch acme/ticket-triage:production --exec deploy/argo/cd/pin.sh
#
# Runs in a clone of the repository that Argo CD watches, which it may push to.
set -eu
file=${PIN_FILE:-ticket-triage/model.env}
branch=${PIN_BRANCH:-main}

# Whoever was away hears of all that happened meanwhile. What the stage has left since must not run again.
now=$(gradus resolve "$GRADUS_WORKLOAD:$GRADUS_STAGE")
now=${now#* }
if [ "${now%% *}" != "$GRADUS_DIGEST" ]; then
  echo "$GRADUS_STAGE has moved on from $GRADUS_WORKLOAD:$GRADUS_VERSION" >&2
  exit 0
fi

# Nor what cannot be fetched, or is not what the registry says: pods that fail at that would make it a version that
# failed there.
gradus verify "$GRADUS_WORKLOAD@$GRADUS_DIGEST" ${GRADUS_LOG_KEY:+--log-key "$GRADUS_LOG_KEY"}

# Somebody else may push at the same moment; then the line is written again, on top of theirs.
for _ in 1 2 3 4 5; do
  git fetch --quiet origin "$branch"
  git checkout --quiet -B "$branch" "origin/$branch"
  printf '# %s:%s, by pin.sh\nMODEL=%s@%s\n' \
    "$GRADUS_WORKLOAD" "$GRADUS_VERSION" "$GRADUS_WORKLOAD" "$GRADUS_DIGEST" > "$file"
  if git diff --quiet -- "$file"; then
    echo "git has $GRADUS_WORKLOAD:$GRADUS_VERSION already" >&2
    exit 0
  fi
  git commit --quiet --message "Run $GRADUS_WORKLOAD:$GRADUS_VERSION ($GRADUS_KIND, entry $GRADUS_POSITION)" -- "$file"
  if git push --quiet origin "$branch"; then
    exit 0
  fi
done
echo "could not push to $branch" >&2
exit 1
