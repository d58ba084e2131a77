// harbor: short checks of the parts of a port, each run beside the port's own server.
package main

import "git.example.net/port/harbor/internal/quay"

func main() {
	quay.Main(map[string]func(*quay.App){
		"berth_assign":     apart(checkAssign),
		"berth_bollard":    apart(checkBollard),
		"berth_depth":      apart(checkDepth),
		"berth_registry":   apart(checkRegistry),
		"crane_overload":   apart(checkOverload),
		"crane_yard":       apart(checkYard),
		"crane_patrol":     apart(checkPatrol),
		"crane_brake":      apart(checkBrake),
		"tug_position":     apart(checkPosition),
		"pilot_swap":       apart(checkSwap),
		"pilot_station":    apart(checkStation),
		"pilot_mail":       apart(checkMail),
		"tide_mean":        apart(checkMean),
		"tide_walk":        apart(checkWalk),
		"manifest_quote":   apart(checkQuote),
		"manifest_customs": apart(checkCustoms),
		"manifest_stages":  apart(checkStages),
		"signal_horn":      apart(checkHorn),
		"signal_flags":     apart(checkFlags),
		"lamp_watch":       apart(checkWatch),
		"lamp_beam":        apart(checkBeam),
		"lamp_relay":       apart(checkRelay),
		"lock_gate":        apart(checkGate),
		"buoy_report":      apart(checkReport),
		"buoy_mooring":     apart(checkMooring),
		"buoy_drift":       apart(checkDrift),
		"ferry_crew":       apart(checkCrew),
		"ferry_pair":       apart(checkPair),
	})
}

// apart runs a check in a goroutine of its own, as a test runner does.
func apart(check func()) func(*quay.App) {
	return func(*quay.App) { go check() }
}
