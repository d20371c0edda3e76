#!/bin/bash
# The image may lack the AWS CLI, and brings ECS's agent, which this node has no use for.
systemctl disable --now --no-block ecs.service 2> /dev/null || :
for ((try = 0; try < 30; try++)); do
  ! command -v aws > /dev/null || break
  dnf install -y -q awscli-2 || sleep 10
done
systemctl daemon-reload
units=(turnout.service turnout-lifecycle.service turnout-metrics.timer)
[[ ! -e ${TURNOUT_ROOT:-}/usr/local/bin/turnout-mirror ]] || units+=(turnout-mirror.service)
systemctl enable --now --no-block "${units[@]}"
