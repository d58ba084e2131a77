// gateway: the edge of the company's services.
package main

import (
	"example.com/gateway/control"
	"example.com/gateway/edge"
	"example.com/gateway/internal/runtime"
	"example.com/gateway/upstream"
)

func main() {
	runtime.Main(map[string]func(*runtime.App){
		"proxy_fetch":        upstream.MountFetch,
		"proxy_introspect":   upstream.MountIntrospect,
		"proxy_webhook":      upstream.MountWebhook,
		"proxy_probe":        upstream.MountProbe,
		"proxy_error_page":   upstream.MountErrorPage,
		"proxy_sniff":        upstream.MountSniff,
		"proxy_in_flight":    upstream.MountReverse,
		"proxy_pooled":       upstream.MountPooled,
		"proxy_token":        upstream.MountToken,
		"edge_admin":         edge.MountAdmin,
		"edge_upload":        edge.MountUpload,
		"edge_tls":           edge.MountTLS,
		"edge_idle":          edge.MountIdle,
		"edge_line_protocol": edge.MountLines,
		"edge_upgrade":       edge.MountUpgrade,
		"edge_keepalive":     edge.MountKeepAlive,
		"edge_long_poll":     edge.MountLongPoll,
		"control_callback":   control.MountCallback,
		"control_debug_port": control.MountDebugPort,
		"control_unix":       control.MountUnix,
		"control_routes":     control.MountRoutes,
		"control_mirror":     control.MountMirror,
	})
}
