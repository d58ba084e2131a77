// checkout: orders, payments and stock of a shop.
package main

import (
	"example.com/checkout/internal/app"
	"example.com/checkout/orders"
	"example.com/checkout/payments"
	"example.com/checkout/stock"
)

func main() {
	app.Main(map[string]func(*app.App){
		"orders_quote":          orders.MountQuote,
		"orders_bulk_import":    orders.MountImport,
		"orders_confirmation":   orders.MountConfirmation,
		"orders_audit_sink":     orders.MountAudit,
		"orders_watch_status":   orders.MountWatch,
		"orders_export_csv":     orders.MountExport,
		"orders_fan_out":        orders.MountOverview,
		"payments_limiter":      payments.MountCapture,
		"payments_token_pool":   payments.MountRefund,
		"payments_wallet_lock":  payments.MountWallet,
		"payments_transfer":     payments.MountTransfer,
		"payments_rates_lock":   payments.MountRates,
		"payments_slow_gateway": payments.MountSlow,
		"payments_settlement":   payments.MountSettlement,
		"stock_reserve":         stock.MountReserve,
		"stock_snapshot":        stock.MountSnapshot,
		"stock_bins":            stock.MountBins,
		"stock_recount":         stock.MountRecount,
		"stock_replenish":       stock.MountReplenish,
		"stock_idle_pickers":    stock.MountPickers,
	})
}
