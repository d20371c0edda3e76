#!/bin/bash
# Fetches the release, verifies it, reads its secrets and runs its container in the foreground.
# Status 3: what was fetched is not the release, and trying again would not help.
# shellcheck source=common.sh
. "${TURNOUT_ROOT:-}/usr/local/lib/turnout/common.sh"
. "$ROOT/usr/local/lib/turnout/secrets.sh"

refuse() {
  log "refused: $*"
  echo "$*" > "$RUN/refused"
  exit 3
}

get() {
  case "$1" in
    s3://*) aws s3 cp --only-show-errors "$1" "$2" ;;
    https://*) curl -sSfL --retry 3 -o "$2" "$1" ;;
    *) refuse "model $1: a node fetches s3:// and https:// only" ;;
  esac
}

check() { # file, sha256, what it is
  local found
  found=$(sha256sum "$1" | cut -d ' ' -f 1)
  [[ $found == "$2" ]] || refuse "$3 has sha256:$found, the release says sha256:$2"
}

# The model, in a folder that is named for its hash and appears only when all of it is verified.
fetch_model() {
  local new="$MODELS/.new" sum name
  [[ ! -d $MODELS/$MODEL_SHA256 ]] || return 0
  rm -rf "$new"
  mkdir -p "$new"
  if [[ $MODEL_URI != */ ]]; then
    get "$MODEL_URI" "$new/${MODEL_URI##*/}"
    check "$new/${MODEL_URI##*/}" "$MODEL_SHA256" "model $MODEL_URI"
  else
    get "${MODEL_URI}SHA256SUMS" "$new/SHA256SUMS"
    check "$new/SHA256SUMS" "$MODEL_SHA256" "list ${MODEL_URI}SHA256SUMS"
    while read -r sum name; do
      name=${name#\*}
      case "/$name/" in *//* | */../* | */./*) refuse "${MODEL_URI}SHA256SUMS lists $name" ;; esac
      mkdir -p "$(dirname "$new/$name")"
      get "$MODEL_URI$name" "$new/$name"
      check "$new/$name" "$sum" "file $MODEL_URI$name"
    done < "$new/SHA256SUMS"
  fi
  mv "$new" "$MODELS/$MODEL_SHA256"
}

echo >> "$RUN/starts"
rm -f "$RUN/refused"
run=(docker run --rm --name turnout --gpus all --shm-size 8g --publish "$PORT:$PORT"
  --log-driver awslogs --log-opt "awslogs-region=$REGION" --log-opt "awslogs-group=$LOG_GROUP"
  --log-opt "awslogs-stream=$(imds meta-data/instance-id)" --log-opt mode=non-blocking
  --env "PORT=$PORT" --env "TURNOUT_RELEASE_DIGEST=$DIGEST" --env TURNOUT_RELEASE=/etc/turnout/release.json
  --volume "$ROOT/etc/turnout/release.json:/etc/turnout/release.json:ro" "${ENGINE_ENV[@]}")
if [[ $MODEL_URI != file:* && $MODEL_URI != package:* ]]; then # such a model is in the image
  fetch_model
  inside=/model
  [[ $MODEL_URI == */ ]] || inside=/model/${MODEL_URI##*/}
  run+=(--volume "$MODELS/$MODEL_SHA256:/model:ro" --env "TURNOUT_MODEL=$inside")
fi
if [[ -n $EFA ]]; then
  run+=(--ulimit memlock=-1:-1)
  for device in /dev/infiniband/uverbs*; do run+=(--device "$device"); done
fi
fetch_image "$IMAGE"
docker rm --force turnout > /dev/null 2>&1 || :
# shellcheck disable=SC2153 # an array of node.env
if ((${#SECRETS[@]} == 0)); then
  exec "${run[@]}" "$IMAGE" "${FLAGS[@]}"
fi
# Docker writes a container's environment to disk, so secrets go in by standard input: a shell in the container takes them
# and becomes the image's own command.
secrets=$(read_secrets)
mapfile -t command < <(docker image inspect --format '{{range .Config.Entrypoint}}{{println .}}{{end}}' "$IMAGE")
if ((${#FLAGS[@]} == 0)); then
  mapfile -t FLAGS < <(docker image inspect --format '{{range .Config.Cmd}}{{println .}}{{end}}' "$IMAGE")
fi
for index in "${!command[@]}"; do [[ -n ${command[index]} ]] || unset "command[index]"; done
for index in "${!FLAGS[@]}"; do [[ -n ${FLAGS[index]} ]] || unset "FLAGS[index]"; done
# shellcheck disable=SC2016 # it is the shell in the container that expands
exec "${run[@]}" --interactive --entrypoint /bin/sh "$IMAGE" \
  -c 'eval "$(cat)"; exec "$@" < /dev/null' sh "${command[@]}" "${FLAGS[@]}" < <(printf '%s' "$secrets")
