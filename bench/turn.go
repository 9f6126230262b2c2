package main

import (
	"context"
	"time"
)

// bench is a run.
type bench struct {
	options
	dir, upstream string
}

// figures are what one turn of one proxy measured.
type figures struct {
	rate     float64       // requests per second, as fast as it can
	cpu      time.Duration // CPU time of the proxy's process for each request
	hasCPU   bool
	half     float64       // requests per second at which the next were measured
	p50, p99 time.Duration // latencies
}

// turn starts a proxy, warms it up and measures it. Each turn has a new
// process, so that the luck of one (where its memory lies) isn't measured.
func (b *bench) turn(ctx context.Context, v *variant) (figures, error) {
	var f figures
	p, err := b.start(ctx, v, false)
	if err != nil {
		return f, err
	}
	defer p.stop()
	load, err := newLoad(p.addr, b.connections)
	if err != nil {
		return f, err
	}
	defer load.close()
	if _, err := load.saturate(ctx, b.warm, b.requests); err != nil {
		return f, err
	}

	before, _ := p.cpuTime()
	s, err := load.saturate(ctx, b.saturated, b.requests)
	if err != nil {
		return f, err
	}
	after, ok := p.cpuTime()
	f.rate = float64(s.requests) / s.elapsed.Seconds()
	f.cpu, f.hasCPU = (after-before)/time.Duration(s.requests), ok

	f.half = f.rate / 2
	latencies, err := load.pace(ctx, f.half, b.paced)
	if err != nil {
		return f, err
	}
	f.p50, f.p99 = percentile(latencies, 0.50), percentile(latencies, 0.99)
	return f, nil
}
