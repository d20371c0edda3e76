#!/bin/bash
# Once a minute, while in service: requests that wait and run, and the GPUs' load, under the group's name. What is not known
# is not sent. Optionally keeps an instance with streams from being chosen by a scale-in.
# shellcheck source=common.sh
. "${TURNOUT_ROOT:-}/usr/local/lib/turnout/common.sh"
[[ $(target_state || echo InService) == InService ]] || exit 0

text=$(curl -sf -m 10 "http://127.0.0.1:$PORT/metrics" || :)
sum() { # of all series of these names; nothing where there is none
  awk -v names=" $* " '{ sub(/\{.*\}/, " ") } index(names, " " $1 " ") && $2 ~ /^[0-9.eE+-]+$/ { total += $2; found = 1 } END { if (found) print total }' <<< "$text"
}
pending=$(sum vllm:num_requests_waiting llamacpp:requests_deferred turnout_requests_waiting)
running=$(sum vllm:num_requests_running llamacpp:requests_processing turnout_requests_running)
gpu=$(nvidia-smi --query-gpu=utilization.gpu --format=csv,noheader,nounits 2> /dev/null |
  awk '$1 ~ /^[0-9.]+$/ { total += $1; found++ } END { if (found) print total / found }' || :)

data=()
add() {
  [[ -z $3 ]] || data+=("{\"MetricName\":\"$1\",\"Unit\":\"$2\",\"Value\":$3,\"Dimensions\":[{\"Name\":\"AutoScalingGroupName\",\"Value\":\"$GROUP\"}]}")
}
add PendingRequests Count "$pending"
add RunningRequests Count "$running"
add GPUUtilization Percent "$gpu"
if ((${#data[@]})); then
  (IFS=, && aws cloudwatch put-metric-data --namespace "$NAMESPACE" --metric-data "[${data[*]}]")
fi

if [[ -n $PROTECT_STREAMS && -n $running ]]; then
  wanted=--no-protected-from-scale-in
  [[ $running == 0 ]] || wanted=--protected-from-scale-in
  if [[ $wanted != "$(cat "$RUN/protection" 2> /dev/null)" ]]; then
    aws autoscaling set-instance-protection --auto-scaling-group-name "$GROUP" \
      --instance-ids "$(imds meta-data/instance-id)" "$wanted"
    echo "$wanted" > "$RUN/protection"
  fi
fi
