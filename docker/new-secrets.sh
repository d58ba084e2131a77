#!/bin/sh
# Makes the secrets of a large installation: new-secrets.sh [FILE], by default .env beside the compose file.
# A file that is there is never replaced: the database and every sender know those secrets already.
set -eu
file=${1:-$(dirname "$0")/.env}
if [ -e "$file" ]; then
    echo "$file is there already; nothing was changed." >&2
    exit 1
fi
umask 077
random() { od -An -v -tx1 -N "$1" /dev/urandom | tr -d ' \n'; }
{
    for name in SRE_SECRET_KEY SRE_DATABASE_PASSWORD SRE_INTAKE_TOKEN SRE_LAB_FAULTS_TOKEN SRE_LAB_ADMIN_TOKEN \
        SRE_SUPERVISOR_PASSWORD; do
        echo "$name=$(random 32)"
    done
    echo "SRE_ADMIN_PASSWORD=$(random 9)"
} >"$file.next"
mv "$file.next" "$file"
echo "Wrote $file. Sign in as sre with the SRE_ADMIN_PASSWORD in it."
