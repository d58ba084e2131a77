// fleet: machines, what runs on them and when it was last seen.
package main

import (
	"code.example.net/infra/fleet/internal/agent"
	"code.example.net/infra/fleet/lease"
	"code.example.net/infra/fleet/probe"
	"code.example.net/infra/fleet/rollout"
)

func main() {
	agent.Main(map[string]func(*agent.App){
		"lease_renew":       lease.MountRenew,
		"lease_countdown":   lease.MountCountdown,
		"lease_extend":      lease.MountExtend,
		"lease_grace":       lease.MountGrace,
		"lease_lost_cancel": lease.MountLostCancel,
		"lease_scope":       lease.MountScope,
		"lease_bridge":      lease.MountBridge,
		"lease_tickers":     lease.MountTickers,
		"probe_gauge":       probe.MountGauge,
		"probe_pulse":       probe.MountPulse,
		"probe_until_ready": probe.MountReady,
		"probe_backoff":     probe.MountBackoff,
		"probe_spin":        probe.MountSpin,
		"probe_collect":     probe.MountCollect,
		"probe_steady":      probe.MountSteady,
		"rollout_merge":     rollout.MountMerge,
		"rollout_approve":   rollout.MountApprove,
		"rollout_detached":  rollout.MountDetached,
		"rollout_wave":      rollout.MountWave,
		"rollout_barrier":   rollout.MountBarrier,
		"rollout_drain":     rollout.MountDrain,
	})
}
