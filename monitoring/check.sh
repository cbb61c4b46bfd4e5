#!/usr/bin/env bash
# Checks what is in this directory: the rules and their tests with promtool, and that the
# dashboard and the rules name no metric that docs/metrics.md does not list.
set -euo pipefail
cd "$(dirname "$0")"

promtool check rules alerts.yaml
promtool test rules alerts_test.yaml

unknown=$(grep -ohE '\bentra_id_[a-z_]+' grafana-dashboard.json alerts.yaml alerts_test.yaml |
  sort -u | grep -vxF -f <(grep -oE '\bentra_id_[a-z_]+' ../docs/metrics.md) || true)
if [ -n "$unknown" ]; then
  printf 'not in docs/metrics.md:\n%s\n' "$unknown" >&2
  exit 1
fi
