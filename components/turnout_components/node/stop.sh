#!/bin/bash
# Drains: the server gets SIGTERM and as long as the release may take for what is in flight.
# shellcheck source=common.sh
. "${TURNOUT_ROOT:-}/usr/local/lib/turnout/common.sh"
docker stop -t "$DRAIN" turnout
