// notify: tells people and programs what has happened.
package main

import (
	"github.example/acme/notify/feed"
	"github.example/acme/notify/hub"
	"github.example/acme/notify/internal/boot"
	"github.example/acme/notify/mailbox"
)

func main() {
	boot.Main(map[string]func(*boot.App){
		"hub_listen":       hub.MountListen,
		"hub_filtered":     hub.MountFiltered,
		"hub_presence":     hub.MountPresence,
		"hub_steady":       hub.MountSteady,
		"hub_broadcast":    hub.MountBroadcast,
		"hub_disconnect":   hub.MountDisconnect,
		"feed_events":      feed.MountEvents,
		"feed_wait":        feed.MountWait,
		"feed_resume":      feed.MountResume,
		"feed_templates":   feed.MountTemplates,
		"feed_digest":      feed.MountDigest,
		"feed_push":        feed.MountPush,
		"mailbox_twins":    mailbox.MountTwins,
		"mailbox_ack":      mailbox.MountAck,
		"mailbox_quota":    mailbox.MountQuota,
		"mailbox_purge":    mailbox.MountPurge,
		"mailbox_smtp":     mailbox.MountSMTP,
		"mailbox_folder":   mailbox.MountFolder,
		"mailbox_counters": mailbox.MountCounters,
	})
}
