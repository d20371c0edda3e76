#!/bin/bash
# Completes the auto scaling group's lifecycle hooks: launch, when the release answers; terminate, when it has drained.
# shellcheck source=common.sh
. "${TURNOUT_ROOT:-}/usr/local/lib/turnout/common.sh"
POLL="${TURNOUT_POLL:-5}"
BEAT="${TURNOUT_BEAT:-60}"
STARTS=5 # of a server that ends again and again before it answers
INSTANCE=$(imds meta-data/instance-id)
beaten=0
noticed=""

hook() { # API, hook, its other arguments
  local api=$1 name=$2
  shift 2
  aws autoscaling "$api" --auto-scaling-group-name "$GROUP" --instance-id "$INSTANCE" --lifecycle-hook-name "$name" "$@"
}

beat() {
  if [[ -n $1 ]] && ((SECONDS - beaten >= BEAT)); then
    beaten=$SECONDS
    hook record-lifecycle-action-heartbeat "$1" || :
  fi
}

# The target state may show before its hook waits: tried again for a while.
complete() {
  local try
  [[ -n $1 ]] || return 0
  log "$1: $2"
  for ((try = 0; try < 10; try++)); do
    ! hook complete-lifecycle-action "$1" --lifecycle-action-result "$2" || return 0
    sleep "$POLL"
  done
}

serving() { curl -sf -m 5 -o /dev/null "http://127.0.0.1:$PORT$HEALTH?release=$DIGEST"; }

launch() { # target state
  local since=$SECONDS
  : > "$RUN/starts"
  systemctl start --no-block turnout.service
  until serving; do
    if [[ -s $RUN/refused ]]; then
      log "given up: $(cat "$RUN/refused")"
    elif (($(wc -l < "$RUN/starts") > STARTS)); then
      log "given up: the server ended $STARTS times before it answered"
    elif ((SECONDS - since > LAUNCH_TIMEOUT)); then
      log "given up: no answer within $LAUNCH_TIMEOUT s"
    else
      [[ $(target_state || echo "$1") == "$1" ]] || return 0
      beat "$LAUNCH_HOOK"
      sleep "$POLL"
      continue
    fi
    complete "$LAUNCH_HOOK" ABANDON
    return
  done
  complete "$LAUNCH_HOOK" CONTINUE
}

drain() {
  systemctl stop turnout.service &
  while kill -0 $! 2> /dev/null; do
    beat "$TERMINATE_HOOK"
    sleep "$POLL"
  done
  complete "$TERMINATE_HOOK" CONTINUE
}

# Spot's notices are told; the group itself launches a replacement and takes the instance out.
notices() {
  local found
  found="$(imds meta-data/spot/instance-action 2> /dev/null || :) $(imds meta-data/events/recommendations/rebalance 2> /dev/null || :)"
  [[ $found == "$noticed" || $found == " " ]] || log "notice: $found"
  noticed=$found
}

last=""
while :; do
  target=$(target_state || echo "$last")
  if [[ $target != "$last" ]]; then
    log "goes to $target"
    case $target in
      InService) launch "$target" ;;
      *Terminated) drain ;;
      Warmed:*) if [[ $last == InService ]]; then drain; else launch "$target"; fi ;;
    esac
    last=$target
  fi
  notices
  sleep "$POLL"
done
