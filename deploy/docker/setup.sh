#!/bin/sh
# Makes the secrets that compose.yaml reads, in the folder secrets beside it, unless they are there.
set -eu
cd "$(dirname "$0")"
if [ -e secrets/gradus.toml ]; then
  echo "secrets/ is there already; nothing was changed" >&2
  exit 0
fi

digits() {
  od -An -N "$1" -tx1 /dev/urandom | tr -d ' \n'
}

# The folder keeps others out. The files must be readable by the users of the containers, who are not this one.
mkdir -p secrets
chmod 0700 secrets
umask 022
password=$(digits 24)
key=GK$(digits 12)
key_secret=$(digits 32)

digits 32 > secrets/gradus-secret
printf %s "$password" > secrets/postgres-password
digits 32 > secrets/garage-rpc-secret
chmod 0600 secrets/garage-rpc-secret # Garage refuses one that others may read

cat > secrets/garage.env << END
GARAGE_DEFAULT_ACCESS_KEY=$key
GARAGE_DEFAULT_SECRET_KEY=$key_secret
GARAGE_DEFAULT_BUCKET=gradus
END

cat > secrets/gradus.toml.new << END
listen = "0.0.0.0:8300"
public_url = "${PUBLIC_URL:-http://127.0.0.1:8300}"

[database]
url = "postgres://gradus:$password@postgres/gradus"

[[stores]]
name = "garage"
url = "s3://gradus/registry"
region = "garage"
[stores.options]
endpoint = "http://garage:3900"
access_key_id = "$key"
secret_access_key = "$key_secret"
allow_http = "true"

# Signs the log and seals the secrets of hooks; another replica needs the same.
[keys]
file = "/run/secrets/gradus-secret"

# For hooks to what is not public, such as a CI server beside it: its address, for example "192.168.7.20/32".
[hooks]
allow = []

[schedule]
gc = "0 0 3 * * *"
scrub = "0 0 4 * * Sun"
END
# Last, so that a run that was stopped halfway is done again.
mv secrets/gradus.toml.new secrets/gradus.toml
echo "made secrets/; back up secrets/gradus-secret: without it the registry does not start, and hooks do not open" >&2
