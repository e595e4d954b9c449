#!/bin/sh
# Makes the secret that the deployment reads. The values come from files, so that they end up in no shell history:
#
#   ./create-secret.sh FOLDER [KUBECTL_OPTION ...]
#
# FOLDER holds the files secret (64 hexadecimal digits, `openssl rand -hex 32`), postgres-password, s3-access-key-id and
# s3-secret-access-key, the last three without a newline at their ends. Back up secret: without it the registry does not
# start, and the secrets of hooks in its database do not open. With an operator that makes secrets from a vault, have it
# make one with the same keys instead.
set -eu
folder=$1
shift
exec kubectl create secret generic gradus --namespace gradus "$@" \
  --from-file=secret="$folder/secret" \
  --from-file=postgres-password="$folder/postgres-password" \
  --from-file=s3-access-key-id="$folder/s3-access-key-id" \
  --from-file=s3-secret-access-key="$folder/s3-secret-access-key"
