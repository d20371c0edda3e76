#!/bin/sh
# Fetches the release's model into $MODELS, in a folder that is named for its hash and appears only when all of it is verified.
# Status 3: what was fetched is not the release, and trying again would not help.
set -eu
TRIES=5
PAUSE="${TURNOUT_PAUSE:-5}"
TOLD="${TURNOUT_TOLD:-/dev/termination-log}"

refuse() {
  echo "$*" >&2
  echo "$*" > "$TOLD" 2> /dev/null || :
  exit 3
}

get_once() {
  case "$1" in
    s3://*) aws s3 cp --only-show-errors "$1" "$2" ;;
    https://*) curl -sSfL -o "$2" "$1" ;;
    *) refuse "model $1: a pod fetches s3:// and https:// only" ;;
  esac
}

get() {
  try=1
  until get_once "$1" "$2"; do
    [ "$try" -lt "$TRIES" ] || { echo "$1 cannot be fetched" > "$TOLD" 2> /dev/null || :; exit 1; }
    try=$((try + 1))
    sleep "$PAUSE"
  done
}

check() { # file, sha256, what it is
  found=$(sha256sum "$1" | cut -d ' ' -f 1)
  [ "$found" = "$2" ] || refuse "$3 has sha256:$found, the release says sha256:$2"
}

fetch() { # into $new
  if [ "${MODEL_URI%/}" = "$MODEL_URI" ]; then
    get "$MODEL_URI" "$new/${MODEL_URI##*/}"
    check "$new/${MODEL_URI##*/}" "$MODEL_SHA256" "model $MODEL_URI"
    return
  fi
  get "${MODEL_URI}SHA256SUMS" "$new/SHA256SUMS"
  check "$new/SHA256SUMS" "$MODEL_SHA256" "list ${MODEL_URI}SHA256SUMS"
  while read -r sum name; do
    name=${name#\*}
    case "/$name/" in *//* | */../* | */./*) refuse "${MODEL_URI}SHA256SUMS lists $name" ;; esac
    mkdir -p "$(dirname "$new/$name")"
    get "$MODEL_URI$name" "$new/$name" < /dev/null
    check "$new/$name" "$sum" "file $MODEL_URI$name"
  done < "$new/SHA256SUMS"
}

[ ! -d "$MODELS/$MODEL_SHA256" ] || exit 0
# Pods that share the folder each fetch into one of their own; the first that is done gives it its name.
new="$MODELS/.new-${HOSTNAME:-pod}"
rm -rf "$new"
mkdir -p "$new"
trap 'rm -rf "$new"' EXIT
fetch
mv -T "$new" "$MODELS/$MODEL_SHA256" 2> /dev/null || [ -d "$MODELS/$MODEL_SHA256" ]
