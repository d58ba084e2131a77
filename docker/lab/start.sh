#!/bin/sh
# Puts the releases of this image on the volume that the workers share, then runs the lab under supervisord.
# A link that is there already stays: it is what somebody has deployed, or rolled back to.
# LAB_BUILT is where the image has the lab.
set -eu
mkdir -p "$SRE_LAB_DIR/log"
cd "${LAB_BUILT:-/opt/lab}"
for built in */releases/*; do
    folder=$SRE_LAB_DIR/$built service=${built%%/*}
    mkdir -p "$folder"
    cp "$built/$service" "$folder/$service.next"
    mv -f "$folder/$service.next" "$folder/$service"
done
for link in storefront/current orders/current payments/current payments/canary; do
    [ -L "$SRE_LAB_DIR/$link" ] || ln -s "$SRE_LAB_DIR/${link%/*}/releases/v1" "$SRE_LAB_DIR/$link"
done
cd /
exec supervisord --nodaemon --configuration /etc/lab/supervisord.conf
