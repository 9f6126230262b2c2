package main

import (
	"context"
	"fmt"
	"time"
)

// bench is a run.
type bench struct {
	options
	dir, upstream string
}

// figures are what one round measured of one proxy.
type figures struct {
	rate     float64       // requests per second, as fast as it can
	cpu      time.Duration // CPU time of the proxy's process for each request
	hasCPU   bool
	half     float64       // requests per second at which the next were measured
	p50, p99 time.Duration // latencies
}

// turnTime is how long a proxy is measured before the next one has its turn.
// What else the machine does lasts longer than a few turns, as a rule, and so
// hits all of them alike.
const turnTime = 100 * time.Millisecond

// contender is one proxy in one round.
type contender struct {
	*variant
	process   *process
	load      *load
	answered  int64
	busy      time.Duration
	latencies []time.Duration
}

// round starts all proxies and measures them in turns, all at full load and
// then all at half. Each round has new processes, so that the luck of one
// (where its memory lies) is not what is measured.
func (b *bench) round(ctx context.Context, number int) (map[string]figures, error) {
	var all []*contender
	defer func() {
		for _, c := range all {
			c.end()
		}
	}()
	for i := range variants {
		// Each round begins with another proxy, so that none profits from its
		// place.
		v := &variants[(number+i)%len(variants)]
		if !v.present(&b.options) {
			continue
		}
		c := &contender{variant: v}
		all = append(all, c)
		if err := c.begin(ctx, b); err != nil {
			return nil, fmt.Errorf("%s: %w", v.name, err)
		}
	}
	inTurns := func(total time.Duration, f func(c *contender, d time.Duration) error) error {
		for left := total; left > 0; left -= turnTime {
			for _, c := range all {
				if err := f(c, min(left, turnTime)); err != nil {
					return fmt.Errorf("%s: %w", c.name, err)
				}
			}
		}
		return nil
	}

	measured := make(map[string]figures)
	before := make(map[string]time.Duration)
	for _, c := range all {
		before[c.name], _ = c.process.cpuTime()
	}
	err := inTurns(b.saturated, func(c *contender, d time.Duration) error {
		if c.answered >= b.requests {
			return nil
		}
		s, err := c.load.saturate(ctx, d, b.requests-c.answered)
		c.answered += s.requests
		c.busy += s.elapsed
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, c := range all {
		after, ok := c.process.cpuTime()
		rate := float64(c.answered) / c.busy.Seconds()
		measured[c.name] = figures{rate: rate, half: rate / 2, cpu: (after - before[c.name]) / time.Duration(c.answered), hasCPU: ok}
	}

	err = inTurns(b.paced, func(c *contender, d time.Duration) error {
		latencies, err := c.load.pace(ctx, measured[c.name].half, d)
		c.latencies = append(c.latencies, latencies...)
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, c := range all {
		f := measured[c.name]
		f.p50, f.p99 = percentile(c.latencies, 0.50), percentile(c.latencies, 0.99)
		measured[c.name] = f
	}
	return measured, nil
}

// begin starts the proxy and warms it up.
func (c *contender) begin(ctx context.Context, b *bench) error {
	var err error
	if c.process, err = b.start(ctx, c.variant, false); err != nil {
		return err
	}
	if c.load, err = newLoad(c.process.addr, b.connections); err != nil {
		return err
	}
	_, err = c.load.saturate(ctx, b.warm, b.requests)
	return err
}

func (c *contender) end() {
	if c.load != nil {
		c.load.close()
	}
	if c.process != nil {
		c.process.stop()
	}
}
