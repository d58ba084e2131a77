package metrics

import (
	"bytes"
	"math"
	"strconv"
	"strings"
)

// Label is one name="value" pair of a series.
type Label struct{ Name, Value string }

// Writer writes families in the text format.
type Writer struct{ buf *bytes.Buffer }

var (
	helpEscaper  = strings.NewReplacer(`\`, `\\`, "\n", `\n`)
	labelEscaper = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)
)

// Family starts a family; kind is counter, gauge, histogram or summary.
func (w *Writer) Family(name, kind, help string) {
	w.buf.WriteString("# HELP " + name + " " + helpEscaper.Replace(help) + "\n")
	w.buf.WriteString("# TYPE " + name + " " + kind + "\n")
}

// Sample writes one line of the family that was started last.
func (w *Writer) Sample(name string, value float64, labels ...Label) {
	w.buf.WriteString(name)
	for i, l := range labels {
		w.buf.WriteByte("{,"[min(i, 1)])
		w.buf.WriteString(l.Name + `="` + labelEscaper.Replace(l.Value) + `"`)
	}
	if len(labels) > 0 {
		w.buf.WriteByte('}')
	}
	w.buf.WriteString(" " + formatFloat(value) + "\n")
}

// Single writes a family that has one sample without labels.
func (w *Writer) Single(name, kind, help string, value float64) {
	w.Family(name, kind, help)
	w.Sample(name, value)
}

func formatFloat(v float64) string {
	switch {
	case math.IsInf(v, 1):
		return "+Inf"
	case math.IsInf(v, -1):
		return "-Inf"
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}
