package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"
)

// report collects the figures of a run.
type report struct {
	names  []string
	turns  map[string][]figures
	facts  []string
	began  time.Time
	before string
}

func newReport(ctx context.Context, o options, variants []variant) *report {
	r := &report{turns: make(map[string][]figures), began: time.Now(), before: loadAverage()}
	for _, v := range variants {
		r.names = append(r.names, v.name)
	}
	caddy := "of unknown version"
	args := append(o.caddy[1:len(o.caddy):len(o.caddy)], "version")
	if out, err := exec.CommandContext(ctx, o.caddy[0], args...).Output(); err == nil { // #nosec G204 -- The user names the binary.
		caddy, _, _ = strings.Cut(strings.TrimSpace(string(out)), " ")
	}
	r.facts = []string{
		fmt.Sprintf("%s/%s, %d cores%s, %s, Caddy %s", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), cpuModel(), runtime.Version(), caddy),
		fmt.Sprintf("%d rounds; in each %v as fast as it can over %d keep-alive connections, then %v at half that rate, in turns of %v",
			o.rounds, o.saturated, o.connections, o.paced, turnTime),
	}
	return r
}

func (r *report) add(name string, f figures) { r.turns[name] = append(r.turns[name], f) }

// end notes what the machine did besides, as far as it tells.
func (r *report) end() {
	note := fmt.Sprintf("took %v", time.Since(r.began).Round(time.Second))
	if r.before != "" {
		note += fmt.Sprintf("; load average before %s, after %s", r.before, loadAverage())
	}
	r.facts = append(r.facts, note)
}

// row is what the table says of one proxy: medians over the rounds.
type row struct {
	rate, ratio, low, high float64 // ratio to plain in the same round, and its range
	cpu, addedCPU          float64 // µs for each request; NaN if not measured
	half, p50, p99         float64 // requests/s; ms
}

// row returns a proxy's medians; ok is false if it was not measured.
func (r *report) row(name string) (row, bool) {
	turns, plain := r.turns[name], r.turns[r.names[0]]
	if len(turns) == 0 || len(turns) != len(plain) {
		return row{}, false
	}
	column := func(of func(i int) float64) []float64 {
		values := make([]float64, len(turns))
		for i := range turns {
			values[i] = of(i)
		}
		return values
	}
	// Ratios and differences within a round: what the machine did besides
	// changes slowly, and hits all proxies of a round alike.
	ratios := column(func(i int) float64 { return turns[i].rate / plain[i].rate })
	w := row{
		rate:  median(column(func(i int) float64 { return turns[i].rate })),
		ratio: median(ratios), low: slices.Min(ratios), high: slices.Max(ratios),
		half: median(column(func(i int) float64 { return turns[i].half })),
		p50:  median(column(func(i int) float64 { return turns[i].p50.Seconds() * 1e3 })),
		p99:  median(column(func(i int) float64 { return turns[i].p99.Seconds() * 1e3 })),
		cpu:  median(nil), addedCPU: median(nil),
	}
	if turns[0].hasCPU {
		w.cpu = median(column(func(i int) float64 { return turns[i].cpu.Seconds() * 1e6 }))
		w.addedCPU = median(column(func(i int) float64 { return (turns[i].cpu - plain[i].cpu).Seconds() * 1e6 }))
	}
	return w, true
}

// write prints the report in Markdown.
func (r *report) write(w io.Writer) error {
	var b strings.Builder
	for _, f := range r.facts {
		b.WriteString("- " + f + "\n")
	}
	b.WriteString("\n| proxy | requests/s | ratio to plain (range) | CPU µs/request | more than plain | at requests/s | p50 ms | p99 ms |\n" +
		"|---|---:|---:|---:|---:|---:|---:|---:|\n")
	for i, name := range r.names {
		w, ok := r.row(name)
		if !ok {
			b.WriteString("| " + name + " | not measured" + strings.Repeat(" |", 7) + "\n")
			continue
		}
		ratio, added := fmt.Sprintf("**%.2f** (%.2f to %.2f)", w.ratio, w.low, w.high), number("%+.1f", w.addedCPU)
		if i == 0 {
			ratio, added = "1", ""
		}
		fmt.Fprintf(&b, "| %s | %.0f | %s | %s | %s | %.0f | %.2f | %.2f |\n",
			name, w.rate, ratio, number("%.1f", w.cpu), added, w.half, w.p50, w.p99)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// number formats a value, or says that there is none.
func number(format string, v float64) string {
	if v != v { // NaN
		return "not measured"
	}
	return fmt.Sprintf(format, v)
}

// cpuModel names the processor, where the system tells.
func cpuModel() string {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(info)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return " of " + strings.TrimSpace(value)
		}
	}
	return ""
}

// loadAverage is how many threads wanted to run in the last minute, where the
// system tells.
func loadAverage() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return ""
	}
	one, _, _ := strings.Cut(string(text), " ")
	return one
}
