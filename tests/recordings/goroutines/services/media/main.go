// media: pictures and films, their copies and where they are stored.
package main

import (
	"media/internal/node"
	"media/storage"
	"media/transcode"
)

func main() {
	node.Main(map[string]func(*node.App){
		"transcode_frames":    transcode.MountFrames,
		"transcode_workers":   transcode.MountWorkers,
		"transcode_convert":   transcode.MountConvert,
		"transcode_thumbnail": transcode.MountThumbnail,
		"transcode_probe":     transcode.MountProbe,
		"transcode_handshake": transcode.MountHandshake,
		"transcode_upload":    transcode.MountUpload,
		"transcode_archive":   transcode.MountArchive,
		"transcode_producers": transcode.MountProducers,
		"transcode_cron":      transcode.MountCron,
		"transcode_fastest":   transcode.MountFastest,
		"transcode_gate":      transcode.MountGate,
		"storage_fifo":        storage.MountFifo,
		"storage_flock":       storage.MountFlock,
		"storage_inbox":       storage.MountInbox,
		"storage_tape":        storage.MountTape,
		"storage_done":        storage.MountDone,
		"storage_burst":       storage.MountBurst,
	})
}
