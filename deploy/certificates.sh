#!/usr/bin/env bash
# Makes an authority and certificates for a fleet that has no issuer of its own, such as a trial:
#   deploy/certificates.sh FOLDER NAME[=DNS,…]…
# Each NAME gets FOLDER/NAME.crt and NAME.key, for the DNS names after "=", by default for NAME itself.
# FOLDER/ca.crt signs them; it is made once, and its key stays in FOLDER: keep that folder to yourself.
# DAYS=n: how long they are valid; default 365, the authority ten times as long.
set -euo pipefail

if [ $# -lt 2 ]; then
  sed -n '2,6s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi
command -v openssl > /dev/null || {
  echo "certificates.sh: openssl is missing: install it" >&2
  exit 1
}

folder=$1
shift
days=${DAYS:-365}
umask 077
mkdir -p "$folder"
cd "$folder"

# openssl, which says something only when it fails.
quietly() {
  local said
  if said=$(openssl "$@" 2>&1); then return; fi
  printf '%s\n' "$said" "certificates.sh: 'openssl $1' failed, for $name in $folder" >&2
  exit 1
}

key() {
  quietly ecparam -name prime256v1 -genkey -noout -out "$1.key"
}

name=ca
trap 'rm -f "$name.csr" "$name.ext"' EXIT
# A first run that was interrupted left a key without its certificate, by which nothing is signed yet.
if [ ! -f ca.key ] || [ ! -s ca.crt ]; then
  key ca
  quietly req -x509 -new -key ca.key -sha256 -days $((10 * days)) -out ca.crt \
    -subj "/CN=lean-aggregator fleet" -addext "basicConstraints=critical,CA:TRUE,pathlen:0" \
    -addext "keyUsage=critical,keyCertSign,cRLSign"
fi

for argument in "$@"; do
  name=${argument%%=*}
  names=${argument#*=}
  key "$name"
  quietly req -new -key "$name.key" -subj "/CN=$name" -out "$name.csr"
  cat > "$name.ext" << END
basicConstraints=critical,CA:FALSE
keyUsage=critical,digitalSignature
extendedKeyUsage=serverAuth,clientAuth
subjectAltName=DNS:${names//,/,DNS:}
END
  quietly x509 -req -in "$name.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -sha256 -days "$days" \
    -extfile "$name.ext" -out "$name.crt"
  rm "$name.csr" "$name.ext"
  echo "$folder/$name.crt"
done
