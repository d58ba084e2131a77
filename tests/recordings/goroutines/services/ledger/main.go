// ledger: what was booked, and reports of it.
package main

import (
	"ledger.example.org/v2/internal/server"
	"ledger.example.org/v2/journal"
	"ledger.example.org/v2/report"
)

func main() {
	server.Main(map[string]func(*server.App){
		"journal_balance":     journal.MountBalance,
		"journal_post":        journal.MountPost,
		"journal_pinned":      journal.MountPinned,
		"journal_void":        journal.MountVoid,
		"journal_history":     journal.MountHistory,
		"journal_search":      journal.MountSearch,
		"journal_busy_pool":   journal.MountBusy,
		"report_close":        report.MountClose,
		"report_cache":        report.MountCache,
		"report_cursor":       report.MountCursor,
		"report_shards":       report.MountShards,
		"report_period_locks": report.MountPeriods,
		"report_stampede":     report.MountStampede,
		"report_burst":        report.MountBurst,
		"report_once":         report.MountOnce,
		"report_session":      report.MountSession,
	})
}
