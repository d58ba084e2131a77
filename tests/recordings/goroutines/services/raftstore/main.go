// raftstore: a key-value store that is replicated.
package main

import (
	"raftstore.dev/internal/host"
	"raftstore.dev/wal"
)

func main() {
	host.Main(map[string]func(*host.App){
		"replica_stop":       stopReplica,
		"replica_proposal":   propose,
		"replica_ring":       ringOfPeers,
		"replica_inflight":   inflight,
		"replica_snapshot":   snapshotting,
		"replica_campaign":   campaign,
		"replica_leader":     leaderChange,
		"replica_read_index": readIndex,
		"cluster_membership": membership,
		"cluster_transport":  transport,
		"cluster_config":     config,
		"cluster_observers":  observers,
		"cluster_join":       join,
		"cluster_shards":     shards,
		"cluster_steady":     steady,
		"wal_rotate":         wal.Rotate,
		"wal_append":         wal.Append,
		"wal_stats":          wal.Stats,
		"wal_segments":       wal.Segments,
		"wal_compact":        wal.Compact,
		"wal_ship":           wal.Ship,
		"wal_checksum":       wal.Checksum,
		"wal_iterator":       wal.Iterator,
	})
}
