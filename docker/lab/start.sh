#!/bin/sh
# Puts the releases of this image on the volume that the workers share, then runs the lab under supervisord.
# A link that is there already stays: it is what somebody has deployed, or rolled back to.
set -eu
for service in storefront orders payments; do
    for release in v1 v2; do
        folder=$SRE_LAB_DIR/$service/releases/$release
        mkdir -p "$folder"
        cp "/opt/lab/$service/releases/$release/$service" "$folder/$service.next"
        mv -f "$folder/$service.next" "$folder/$service"
    done
    [ -L "$SRE_LAB_DIR/$service/current" ] || ln -s "$SRE_LAB_DIR/$service/releases/v1" "$SRE_LAB_DIR/$service/current"
done
exec supervisord --nodaemon --configuration /etc/lab/supervisord.conf
