package awssigv4

import (
	"slices"
	"sync"
)

// running are the apps of the configurations that are started, the latest last.
// While a configuration is replaced there are two; should the new one fail to
// start, the old one is the last again.
var running struct {
	sync.Mutex
	apps []*App
}

// runningApp returns the app of the configuration that runs, or nil. Metrics and
// the admin API ask for it, because what serves them may belong to a
// configuration that failed to load: Caddy replaces its admin endpoint first.
func runningApp() *App {
	running.Lock()
	defer running.Unlock()
	if n := len(running.apps); n > 0 {
		return running.apps[n-1]
	}
	return nil
}

// run makes a the app that runs until stop is called.
func (a *App) run() (stop func()) {
	running.Lock()
	defer running.Unlock()
	running.apps = append(running.apps, a)
	return func() {
		running.Lock()
		defer running.Unlock()
		running.apps = slices.DeleteFunc(running.apps, func(b *App) bool { return a == b })
	}
}
