#!/bin/bash
# Runs the mirror that the group's parameter asks for: Envoy before the server, in a container, and a rule of the firewall that
# turns new connections aside to it. The rule holds while the server answers through Envoy, and its element ends by itself
# where this program does not renew it: in all other cases connections go to the server as ever.
# shellcheck source=common.sh
. "${TURNOUT_ROOT:-}/usr/local/lib/turnout/common.sh"
POLL="${TURNOUT_POLL:-1}"
ASK="${TURNOUT_ASK:-15}"       # seconds between two looks at the parameter
PATIENCE="${TURNOUT_BEAT:-60}" # seconds until what does not answer is ended, or a start is tried again
HOLD=6                         # seconds that the rule outlives this program
STALE=10                       # minutes that a mirror outlives its parameter's last reading
ENDS=3                         # of an Envoy that ends again and again under one setting
FOLDER="$RUN/mirror"
ENVOY_USER=65532
asker="" watch="" aside="" leaving="" setting=""
idle=0 ends=0 next=0 retry=0 well=0

# A rule for new connections only, from outside to the host's own addresses, ahead of Docker's for the published port. SYN: a
# connection that was not tracked yet stays where it is. Envoy may not ask the metadata service for the role's keys.
table() {
  nft -f - << RULES
table ip turnout_mirror
delete table ip turnout_mirror
table ip turnout_mirror {
  set aside {
    type inet_service
    flags timeout
  }
  chain prerouting {
    type nat hook prerouting priority dstnat - 10; policy accept;
    iifname != "lo" fib daddr type local tcp flags & (syn | ack) == syn tcp dport @aside redirect to :$MIRROR_PORT
  }
  chain output {
    type filter hook output priority filter; policy accept;
    meta skuid $ENVOY_USER ip daddr 169.254.0.0/16 reject
  }
}
RULES
}

turn() { # aside or back
  local element=""
  [[ $1 == back ]] || element="add element ip turnout_mirror aside { $PORT timeout ${HOLD}s }"
  printf 'flush set ip turnout_mirror aside\n%s\n' "$element" | nft -f -
}

back() { # why
  [[ -n $aside ]] || return 0
  log "mirror: new connections go to the server again: $1"
  turn back || :
  aside=""
}

ask() {
  local said="" error="$RUN/mirror.error"
  if said=$(timeout 60 aws ssm get-parameter --name "$MIRROR_PARAMETER" --query Parameter.Value --output text 2> "$error") ||
    grep -q ParameterNotFound "$error"; then
    touch "$RUN/mirror.read"
  else
    log "mirror: $MIRROR_PARAMETER cannot be read: $(tail -n 1 "$error")"
    [[ -n $(find "$RUN/mirror.read" -mmin "+$STALE" 2> /dev/null) ]] || return 0
  fi
  PYTHONPATH="$ROOT/usr/local/lib/turnout" python3 -m turnout_components.mirror_node "$FOLDER" <<< "$said"
}

ask_in_the_background() {
  if ((SECONDS >= next)) && ! kill -0 "$asker" 2> /dev/null; then
    next=$((SECONDS + ASK))
    ask &
    asker=$!
  fi
}

alive() { [[ -n $watch ]] && kill -0 "$watch" 2> /dev/null; }

begin_watch() { # of a container that runs; this program may have been started anew beside it
  [[ $(docker inspect --format '{{.State.Running}}' turnout-mirror 2> /dev/null) == true ]] || return 1
  docker wait turnout-mirror > /dev/null &
  watch=$!
  well=$SECONDS
}

start() {
  ((ends < ENDS && SECONDS >= retry)) || return 1
  retry=$((SECONDS + PATIENCE))
  if fetch_image "$MIRROR_IMAGE" && { docker rm --force turnout-mirror > /dev/null 2>&1 || :; } && docker run --detach --rm \
    --name turnout-mirror --network host --user "$ENVOY_USER:$ENVOY_USER" --read-only --cap-drop ALL \
    --security-opt no-new-privileges --oom-score-adj 500 --ulimit nofile=65536:65536 --log-driver local \
    --volume "$ROOT/etc/turnout/mirror.json:/etc/turnout/mirror.json:ro" --volume "$FOLDER:/run/turnout/mirror:ro" \
    --entrypoint /usr/local/bin/envoy "$MIRROR_IMAGE" \
    -c /etc/turnout/mirror.json --disable-hot-restart --concurrency 2 --log-level warning > /dev/null && begin_watch; then
    log "mirror: Envoy is started"
  else
    log "mirror: Envoy does not start; the next try is in $PATIENCE s"
    return 1
  fi
}

get() { curl -sf -m 2 "$@"; }
admin() { get -X "$1" "http://127.0.0.1:$MIRROR_ADMIN/$2"; }
serves() { get -o /dev/null "http://127.0.0.1:$1$HEALTH?release=$DIGEST"; }

give_up() { # an Envoy that does not answer
  if ((SECONDS - well > PATIENCE)); then
    log "mirror: Envoy has not answered for $PATIENCE s and is ended"
    docker rm --force turnout-mirror > /dev/null || :
  fi
}

keep() {
  if ! alive; then
    start || return 0
  fi
  if serves "$MIRROR_PORT"; then
    well=$SECONDS
    if [[ -z $aside ]]; then
      admin POST healthcheck/ok > /dev/null || return 0
      log "mirror: new connections go through Envoy"
    fi
    leaving=""
    if turn aside; then aside=1; else back "the rule cannot be set"; fi
  else
    back "there is no answer through Envoy"
    if serves "$PORT"; then give_up; else well=$SECONDS; fi
  fi
}

# Who is connected is asked to close with the next answer ("Draining", Envoy's architecture overview); Envoy ends when nobody is.
leave() {
  local count
  back "nothing is to be copied"
  alive || return 0
  [[ -n $leaving ]] || idle=0
  leaving=1
  if count=$(admin POST healthcheck/fail > /dev/null && admin GET 'stats?filter=^http.mirror.downstream_cx_active$'); then
    well=$SECONDS
    if [[ ${count##* } == 0 ]]; then idle=$((idle + 1)); else idle=0; fi
    if ((idle > 1)); then
      log "mirror: Envoy is ended: nothing is under way in it"
      docker stop -t 5 turnout-mirror > /dev/null || :
      wait "$watch" || :
      watch=""
    fi
  else
    give_up
  fi
}

pause() { # until the next look, or until Envoy ends
  sleep "$POLL" &
  local nap=$!
  wait -n "$nap" ${watch:+"$watch"} || :
  kill "$nap" 2> /dev/null || :
}

command -v nft > /dev/null || dnf install -y -q nftables
table
trap 'back "this program ends"' EXIT
trap exit TERM INT
begin_watch || :
while :; do
  ask_in_the_background
  if [[ -n $watch ]] && ! alive; then
    back "Envoy has ended"
    watch=""
    if ! begin_watch; then # else it was Docker's daemon that ended
      ends=$((ends + 1))
      ((ends < ENDS)) || log "mirror: Envoy has ended $ends times and is not started again under this setting"
    fi
  fi
  if [[ -e $FOLDER/wanted ]]; then
    [[ $setting == "$(< "$FOLDER/wanted")" ]] || { setting=$(< "$FOLDER/wanted") && ends=0 retry=0; }
    keep
  else
    setting=""
    leave
  fi
  pause
done
