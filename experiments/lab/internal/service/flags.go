package service

import (
	"flag"

	"lab/internal/logvolume"
	"lab/internal/metrics"
)

// Flags are those that every service has.
type Flags struct {
	listen, faults, admin *string
	logFile               *string
	logVolume             *int64 // MiB
}

// CommonFlags defines them.
func CommonFlags(listen string) Flags {
	return Flags{
		listen:    flag.String("listen", listen, "`host:port` of the service"),
		faults:    flag.String("faults", "", "`host:port` of the faults API; empty means off; needs "+faultsTokenEnv),
		admin:     flag.String("admin", "", "`host:port` of the admin API; empty means off; needs "+adminTokenEnv),
		logFile:   flag.String("log-file", "", "`path` of the log of requests; empty means none"),
		logVolume: flag.Int64("log-volume", 32, "what the files in the folder of -log-file may have together, in `MiB`"),
	}
}

// openLog opens the log of requests, nil if there is to be none.
func (f Flags) openLog(r *metrics.Registry) (*logvolume.Volume, error) {
	if *f.logFile == "" {
		return nil, nil
	}
	return logvolume.Open(r, *f.logFile, *f.logVolume<<20)
}
