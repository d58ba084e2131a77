#!/usr/bin/env bash
# Checks the large form for real: builds the images, starts every part, heals a drill inside, and takes all down again.
#   docker/check.sh [--strict] [--local]
# --strict: end with 77, not 0, where it could not run at all. --local: no image from a registry, but a base and
# stand-ins for PostgreSQL, Redis, Prometheus and Alertmanager made of Debian's packages (as root, with podman and
# mmdebstrap); done by itself where no registry can be reached. It needs 6 GB in ${TMPDIR:-/var/tmp} and some minutes.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly project=sre-check drill=orders/goroutine-leak cause=quote_v2.go:35 port=${CHECK_PORT:-18973}
readonly parts=(postgres redis lab prometheus alertmanager web worker beat)
readonly ready_within_s=180 needed_kb=$((6 * 1024 * 1024))
strict=0 local=0 engine='' up='' began=$SECONDS
compose=()
for word in "$@"; do
    case $word in
    --strict) strict=1 ;;
    --local) local=1 ;;
    *) sed -n '2,3p' "$0" >&2 && exit 2 ;;
    esac
done

not_run() {
    echo "not run: $1"
    exit $((strict * 77))
}

fail() {
    echo "failed: $1" >&2
    exit 1
}

step() { # NAME COMMAND...: says how long it took; what it printed is shown only when it failed
    local name=$1 from=$SECONDS
    shift
    "$@" >"$work/step.log" 2>&1 || { tail -40 "$work/step.log" >&2 && fail "$name"; }
    printf '%5d s  %s\n' $((SECONDS - from)) "$name"
}

containers() { "$engine" ps --all --quiet --filter "label=com.docker.compose.project=$project" "$@"; }

clean_up() {
    local code=$?
    trap - EXIT
    if [ -n "$up" ]; then
        [ $code = 0 ] || for id in $(containers); do
            "$engine" inspect --format '== {{.Name}} {{.State.Status}}' "$id"
            "$engine" logs --tail 15 "$id"
        done >&2 2>&1
        "${compose[@]}" --profile drill down --volumes >/dev/null 2>&1 || true
    fi
    [ "$engine" != docker ] || docker image rm sre-check-platform sre-check-lab >/dev/null 2>&1 || true
    if [ "$engine" = podman ] && [ -n "$own_store" ]; then # it holds nothing but ours
        podman rm --all --force --time 5 >/dev/null 2>&1 || true
        podman volume rm --all --force >/dev/null 2>&1 || true
        podman network rm --force "${project}_default" >/dev/null 2>&1 || true
        umount "$work/store/overlay" 2>/dev/null || true
    fi
    rm -rf "$work" || echo "left behind: $work" >&2
    exit $code
}

# --- what there is to work with

if docker info >/dev/null 2>&1 && docker compose version >/dev/null 2>&1; then
    engine=docker
elif command -v podman >/dev/null; then
    engine=podman
else
    not_run "no container engine"
fi
folder=${TMPDIR:-/var/tmp}
[ "$(df --output=avail "$folder" | tail -1)" -ge $needed_kb ] || not_run "less than 6 GB are free in $folder"
work=$(mktemp -d "$folder/sre-check.XXXXXX")
own_store=''
trap clean_up EXIT

prepare_podman() { # settings of its own; as root also a store of its own, which can be thrown away as a whole
    export BUILDAH_FORMAT=docker CONTAINERS_CONF=$work/containers.conf
    {
        echo '[containers]'
        echo 'default_ulimits = ["nofile=4096:4096", "nproc=10000:10000"]'
        echo '[engine]'
        echo "tmp_dir = \"$work/tmp\""
        ! command -v runc >/dev/null || echo 'runtime = "runc"'
    } >"$CONTAINERS_CONF"
    if [ "$(id -u)" = 0 ]; then
        own_store=yes
        export CONTAINERS_STORAGE_CONF=$work/storage.conf
        store overlay
        podman info >/dev/null 2>&1 || store vfs
    fi
    podman info >"$work/info.log" 2>&1 || not_run "podman does not work here: $(tail -1 "$work/info.log")"
}

store() {
    printf '[storage]\ndriver = "%s"\ngraphroot = "%s"\nrunroot = "%s"\n' "$1" "$work/store" "$work/run" \
        >"$CONTAINERS_STORAGE_CONF"
}

make_venv() { python3 -m venv "$work/venv" && "$work/venv/bin/pip" install podman-compose==1.6.0; }

find_compose() {
    compose=(docker compose)
    if [ $engine = podman ]; then
        compose=(podman-compose)
        if ! command -v podman-compose >/dev/null; then
            compose=("$work/venv/bin/podman-compose")
            make_venv >"$work/venv.log" 2>&1 ||
                not_run "there is no podman-compose, and it could not be installed: $(tail -1 "$work/venv.log")"
        fi
    fi
    compose+=(--env-file "$work/env" -p "$project" -f docker/compose.yaml)
}

# --- images

pull_all() { # every image that compose.yaml names
    local image
    for image in $(grep -o 'docker[.]io/[^}]*' docker/compose.yaml | tr -d '"' | sort -u); do
        timeout 300 "$engine" pull -q "$image" || return 1
    done
}

make_base() { # a Debian with Python, and the certificates that this machine trusts
    mmdebstrap --quiet --variant=minbase --include=python3,python3-venv,ca-certificates \
        --aptopt='APT::Install-Recommends "false"' --dpkgopt='path-exclude=/usr/share/doc/*' \
        --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
        --customize-hook='copy-in /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs' bookworm - | podman import - sre-check-base
}

build() { # FILE TARGET FOLDER
    "$engine" build --network host "${base[@]}" -f "$1" --target "$2" -t "sre-check-$2" "$3"
}

stand_ins() {
    if [ "$engine" != podman ] || [ "$(id -u)" != 0 ] || ! command -v mmdebstrap >/dev/null; then
        not_run "no image registry can be reached, and stand-ins need root, podman and mmdebstrap"
    fi
    step "a base image from Debian's packages" make_base
    base=(--build-arg BASE=localhost/sre-check-base)
    for part in postgres redis prometheus alertmanager; do
        step "stand-in for $part" build docker/check/Dockerfile $part docker/check
        echo "${part^^}_IMAGE=localhost/sre-check-$part" >>"$work/env"
    done
}

# --- running

service() { containers --filter "label=com.docker.compose.service=$1"; }

healthy() { # PART...: whether every container of each says so; podman without systemd asks nobody by itself
    local part id
    for part in "$@"; do
        [ -n "$(service "$part")" ] || return 1
        for id in $(service "$part"); do
            if [ $engine = podman ]; then
                podman healthcheck run "$id" || return 1
            else
                [ "$(docker inspect --format '{{.State.Health.Status}}' "$id")" = healthy ] || return 1
            fi
        done
    done
}

until_healthy() {
    local deadline=$((SECONDS + ready_within_s)) part
    for part in "$@"; do
        until healthy "$part"; do
            [ $SECONDS -lt $deadline ] || { echo "$part is not healthy after $ready_within_s s" && return 1; }
            sleep 1
        done
    done
}

refuses_without_secrets() {
    : >"$work/none"
    ! env -u SRE_SECRET_KEY "${compose[@]}" --env-file "$work/none" config >"$work/refused.log" 2>&1 &&
        grep -q 'new-secrets.sh' "$work/refused.log"
}

start() {
    if [ $engine = docker ]; then
        "${compose[@]}" up --detach --no-build
    else # before podman 4.6 dependencies are not waited for, so they are started in their order
        "${compose[@]}" up --detach --no-build --no-deps postgres redis && until_healthy postgres redis &&
            "${compose[@]}" up --detach --no-build --no-deps setup && [ "$(podman wait "$(service setup)")" = 0 ] &&
            # and everybody after those whom they ask: old aardvark-dns answers nobody while it looks for an unknown name
            for part in lab web worker beat alertmanager prometheus auditor; do
                "${compose[@]}" up --detach --no-build --no-deps $part || return 1
            done
    fi && until_healthy "${parts[@]}"
}

manage() { "$engine" exec "$(service web)" python manage.py "$@"; }

# Users are well, and no incident is open: starting up may have looked like a fault, and a drill wants its own incident.
calm() {
    healthy lab && manage shell -c '
import sys
from sre_platform.incidents.domain import ENDED
from sre_platform.incidents.models import Incident
sys.exit(Incident.objects.exclude(state__in=ENDED).exists())'
}

within() { # COMMAND...: again until it succeeds, for a while
    local deadline=$((SECONDS + ready_within_s))
    until "$@"; do
        [ $SECONDS -lt $deadline ] || return 1
        sleep 2
    done
}

scraped() { # every target, the platform's own counters among them
    manage shell -c '
import json, sys, urllib.request
with urllib.request.urlopen("http://prometheus:9090/api/v1/query?query=up", timeout=5) as answer:
    up = {one["metric"]["job"]: one["value"][1] for one in json.load(answer)["data"]["result"]}
sys.exit(f"{up}" if set(up.values()) != {"1"} or "sre-platform" not in up else 0)'
}

heal() {
    local deps=() # podman-compose would start them again
    [ $engine = docker ] || deps=(--no-deps)
    "${compose[@]}" --profile drill run --rm -T "${deps[@]}" drill $drill --json >"$work/drill.json"
}

[ $engine = docker ] || prepare_podman
base=()
docker/new-secrets.sh "$work/env" >/dev/null
find_compose
{
    echo "SRE_WEB_PORT=$port"
    for part in platform lab; do
        name=sre-check-$part
        [ $engine = docker ] || name=localhost/$name
        echo "SRE_${part^^}_IMAGE=$name"
    done
} >>"$work/env"
echo "with $("$engine" --version)"
if [ $local = 1 ] || ! pull_all >"$work/pull.log" 2>&1; then
    stand_ins
fi
for target in platform lab; do
    step "image of the $target" build docker/Dockerfile $target .
done
"$engine" images --format '{{.Repository}} {{.Size}}' | grep sre-check | sed 's/^/         /'
step "without secrets it refuses to start" refuses_without_secrets
up=yes
step "every part is up and healthy" start
step "users are well, and no incident is open" within calm
step "Prometheus reaches every target" within scraped
step "the drill $drill is healed" heal
grep -q "$cause" "$work/drill.json" || fail "the drill's cause does not name $cause"
step "the doctor finds nothing wrong" within manage doctor
printf '%5d s  altogether\n' $((SECONDS - began))
grep -o '"stages": {[^}]*}' "$work/drill.json"
