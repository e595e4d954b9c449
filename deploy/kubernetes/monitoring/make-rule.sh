#!/bin/sh
# Prints prometheus-rule.yaml: the rules of deploy/prometheus/alerts.yaml as the Prometheus operator takes them.
set -eu
cd "$(dirname "$0")"
cat << 'END'
# Made by make-rule.sh out of deploy/prometheus/alerts.yaml; change that.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: gradus
  labels:
    app.kubernetes.io/name: gradus
spec:
END
sed -n '/^groups:/,$ { s/^\(.\)/  \1/; p }' ../../prometheus/alerts.yaml
