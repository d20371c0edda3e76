#!/bin/bash
# Values of the release's secrets, as lines that a shell reads: export NAME='value'. They are in pipes and memory only.

# One field of the JSON on standard input, by a path such as data.password.
field() {
  python3 -c '
import json, sys
value = json.load(sys.stdin)
for key in sys.argv[1].split("."):
    value = value[key]
print(value if isinstance(value, str) else json.dumps(value))' "$1"
}

# Vault knows the instance by its signed identity document (auth method aws, type ec2).
vault_field() {
  local token path=${1%%#*} name=${1#*#} nonce="$ROOT/var/lib/turnout/vault-nonce" answer
  [[ -s $nonce ]] || (umask 077 && cat /proc/sys/kernel/random/uuid > "$nonce")
  token=$(printf '{"role":"%s","nonce":"%s","pkcs7":"%s"}' "$VAULT_ROLE" "$(cat "$nonce")" \
    "$(imds dynamic/instance-identity/pkcs7 | tr -d '\n')" |
    curl -sSf -m 30 --data @- "$VAULT_ADDRESS/v1/auth/aws/login" | field auth.client_token)
  answer=$(curl -sSf -m 30 -H @- "$VAULT_ADDRESS/v1/$path" <<< "X-Vault-Token: $token")
  field "data.data.$name" <<< "$answer" 2> /dev/null || field "data.$name" <<< "$answer"
}

read_secret() {
  case "$1" in
    ssm:*) aws ssm get-parameter --with-decryption --name "${1#ssm:}" --query Parameter.Value --output text ;;
    vault:*) vault_field "${1#vault:}" ;;
    *'#'*) aws secretsmanager get-secret-value --secret-id "${1%%#*}" --query SecretString --output text | field "${1#*#}" ;;
    *) aws secretsmanager get-secret-value --secret-id "$1" --query SecretString --output text ;;
  esac
}

read_secrets() {
  local name value quote="'\\''"
  for name in "${!SECRETS[@]}"; do
    value=$(read_secret "${SECRETS[$name]}") || { log "secret $name cannot be read from ${SECRETS[$name]}"; return 1; }
    printf "export %s='%s'\n" "$name" "${value//\'/$quote}"
  done
}
