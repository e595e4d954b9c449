#!/bin/sh
# Brings the version that a stage has moved to into an InferenceService, and tells the registry how that went:
#
#   gradus watch acme/ticket-triage:production --exec deploy/kserve/watcher/rollout.sh
set -eu
service=${SERVICE:-ticket-triage}
target=${TARGET:-cluster-1}
seconds=${ROLLOUT_SECONDS:-1200}
model="$GRADUS_WORKLOAD@$GRADUS_DIGEST"
place=/spec/predictor/initContainers/0/env/0

# In a pod, and each time: a rollout takes longer than a token lives.
log_in() {
  [ -z "${IDENTITY_FILE:-}" ] || gradus login "$GRADUS_SERVER" --oidc --namespace "${GRADUS_WORKLOAD%%/*}" \
    --identity-file "$IDENTITY_FILE" > /dev/null
}

report() {
  log_in
  # 3: by its policy the stage has gone back for it, and that is a change of its own.
  gradus deployment report "$model" --stage "$GRADUS_STAGE" --target "$target" --status "$1" ${URL:+--url "$URL"} \
    || [ $? -eq 3 ]
}

set_model() {
  # The test refuses the patch if that place holds something else.
  kubectl patch inferenceservice "$service" --type json --patch "[
    {\"op\": \"test\", \"path\": \"$place/name\", \"value\": \"MODEL\"},
    {\"op\": \"replace\", \"path\": \"$place/value\", \"value\": \"$1\"}
  ]"
}

# Whoever was away hears of all that happened meanwhile. What the stage has left since must not run again.
log_in
now=$(gradus resolve "$GRADUS_WORKLOAD:$GRADUS_STAGE")
now=${now#* }
if [ "${now%% *}" != "$GRADUS_DIGEST" ]; then
  echo "$GRADUS_STAGE has moved on from $GRADUS_WORKLOAD:$GRADUS_VERSION" >&2
  exit 0
fi

# Before anything is rolled: that it can be fetched, and is what the registry says. Pods that fail at that would make it
# a version that failed here.
gradus verify "$model" ${GRADUS_LOG_KEY:+--log-key "$GRADUS_LOG_KEY"}

before=$(kubectl get inferenceservice "$service" --output "jsonpath={.spec.predictor.initContainers[0].env[0].value}")
echo "$GRADUS_KIND: $GRADUS_WORKLOAD:$GRADUS_VERSION goes to $service" >&2
set_model "$model"
# The Deployment is what says whether the new pods are there: Ready of the service holds while old ones serve on.
deployment="deployment/$service-predictor"
# KServe takes a moment to change it. Where it does not, no pod has tried the version, and there is nothing to report.
if ! kubectl wait "$deployment" --timeout=60s \
  --for "jsonpath={.spec.template.spec.initContainers[0].env[0].value}=$model"; then
  set_model "$before"
  exit 1
fi
if kubectl rollout status "$deployment" --timeout="${seconds}s"; then
  report running
else
  report failed || true
  set_model "$before"
  exit 1
fi
