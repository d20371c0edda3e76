#!/bin/bash
# What the node's scripts share. TURNOUT_ROOT and TURNOUT_IMDS are set by tests only.
set -euo pipefail
ROOT="${TURNOUT_ROOT:-}"
# shellcheck source=/dev/null
. "$ROOT/etc/turnout/node.env"
RUN="$ROOT/run/turnout"
MODELS="$ROOT/var/lib/turnout/models"
export RUN MODELS AWS_DEFAULT_REGION="$REGION" DOCKER_CONFIG="$RUN/docker"
mkdir -p "$RUN"

log() { echo "turnout: $*" >&2; }

# Instance metadata, by token (IMDSv2). Status 22 where there is none.
imds() {
  local base="${TURNOUT_IMDS:-http://169.254.169.254}/latest" token
  token=$(curl -sf -m 5 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 300' "$base/api/token") || return
  curl -sf -m 5 -H "X-aws-ec2-metadata-token: $token" "$base/$1"
}

target_state() { imds meta-data/autoscaling/target-lifecycle-state; }

fetch_image() { # by digest
  local host=${1%%/*}
  ! docker image inspect "$1" > /dev/null 2>&1 || return 0
  if [[ $host =~ \.dkr\.ecr\.([a-z0-9-]+)\.amazonaws\.com ]]; then
    aws ecr get-login-password --region "${BASH_REMATCH[1]}" | docker login --username AWS --password-stdin "$host"
  fi
  docker pull "$1"
}
