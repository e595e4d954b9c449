#!/bin/sh
# Reports what the cluster says of the version in the template of the Deployment $DEPLOYMENT, in $STAGE on $TARGET. Not
# what became of a sync: that fails as well before anything was rolled, or because a report did. Needs GRADUS_SERVER,
# and in IDENTITY_FILE the pod's service account token; for a registry that trusts no issuer, GRADUS_TOKEN instead.
set -eu
: "${DEPLOYMENT:?}" "${STAGE:?}" "${TARGET:?}" "${GRADUS_SERVER:?}"
export XDG_CONFIG_HOME="${XDG_CONFIG_HOME:-/tmp/gradus}"

# The Deployment's generation, the one that its status is about, the ConfigMap with its version, how the rollout is.
path='{.metadata.generation} {.status.observedGeneration}'
path="$path {.spec.template.spec.initContainers[0].env[0].valueFrom.configMapKeyRef.name}"
path="$path {.status.conditions[?(@.type==\"Progressing\")].reason}"
found=$(kubectl get deployment "$DEPLOYMENT" --output "jsonpath=$path")
read -r wanted seen config reason << END
$found
END
case $reason in
  NewReplicaSetAvailable) status=running ;;
  ProgressDeadlineExceeded) status=failed ;;
  *) status= ;;
esac
if [ "$wanted" != "$seen" ] || [ -z "$status" ]; then
  echo "nothing to report: the rollout of $DEPLOYMENT has not ended" >&2
  exit 0
fi
model=$(kubectl get configmap "$config" --output "jsonpath={.data.MODEL}")

[ -n "${GRADUS_TOKEN:-}" ] || \
  gradus login "$GRADUS_SERVER" --oidc --namespace "${model%%/*}" --identity-file "$IDENTITY_FILE"
# 3: by its policy the stage has gone back for it, which is no reason to report again.
gradus deployment report "$model" --stage "$STAGE" --target "$TARGET" --status "$status" ${URL:+--url "$URL"} \
  || [ $? -eq 3 ]
