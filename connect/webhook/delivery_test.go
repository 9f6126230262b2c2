package webhook

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/store/storetest"
)

// status has a receiver answer with a status.
func status(code int) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		if code/100 == 3 {
			w.Header().Set("Location", "/elsewhere")
		}
		w.WriteHeader(code)
	}
}

func TestAnswers(t *testing.T) {
	for code, want := range map[int]string{
		200: "creation delivered", 204: "creation delivered", 202: "creation delivered",
		301: "creation failed: the receiver answered 301, and redirects are not followed",
		307: "creation failed: the receiver answered 307, and redirects are not followed",
		400: "creation failed: the receiver answered 400", 404: "creation failed: the receiver answered 404",
		429: "creation failed: the receiver answered 429", 500: "creation failed: the receiver answered 500",
		410: "creation dropped: the receiver answered 410: it wants no more of them",
	} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			b, r := newSimpleBed(t, nil)
			r.answers(status(code))
			b.connect("globex")
			b.run()
			if got := b.outcomes(); len(got) != 1 || got[0] != want {
				t.Errorf("%q, want %q", got, want)
			}
			waits := strings.Contains(want, "failed")
			if n := b.QueueLength(); (n == 1) != waits || len(r.take()) != 1 {
				t.Errorf("%d in the queue", n)
			}
			r.answers(nil)
			b.clock.pass(7 * time.Second)
			b.run()
			if got := r.take(); (len(got) == 1) != waits || b.QueueLength() != 0 {
				t.Errorf("then %d requests, and %d in the queue", len(got), b.QueueLength())
			}
		})
	}
}

// TestItIsTriedForADay lets the receiver be away: the ID stays, the time does not, and there is an end.
func TestItIsTriedForADay(t *testing.T) {
	b, r := newSimpleBed(t, nil)
	r.answers(status(503))
	b.connect("globex")
	begun := b.clock.now()
	var at []time.Duration
	for step := 0; b.QueueLength() > 0 && step < 100_000; step++ {
		b.run()
		for _, got := range r.take() {
			if err := verify(testSecret, got, b.clock.now()); err != nil {
				t.Error(err)
			}
			at = append(at, b.clock.now().Sub(begun))
		}
		b.clock.pass(time.Second)
	}
	if len(at) != maxAttempts {
		t.Errorf("%d attempts", len(at))
	}
	for i := 1; i < len(at); i++ {
		d := at[i] - at[i-1]
		if want := delays[i-1]; d < want*4/5 || d > want*6/5+2*time.Second {
			t.Errorf("attempt %d came after %v, want about %v", i+1, d, want)
		}
	}
	if last := at[len(at)-1]; last < 18*time.Hour || last > 29*time.Hour {
		t.Errorf("the last attempt was after %v", last)
	}
	got := b.outcomes()
	if len(got) != maxAttempts || !strings.Contains(got[len(got)-1], "dropped") || !strings.Contains(got[0], "failed") {
		t.Errorf("%q", got)
	}
	stored(t, b, 0)
}

// stored says how many items are in the storage.
func stored(t testing.TB, b *bed, want int) {
	t.Helper()
	keys, err := b.records.Keys(t.Context(), connect.WebhookKind, "", 10_000)
	if err != nil || len(keys) != want {
		t.Errorf("%d are stored, want %d, %v", len(keys), want, err)
	}
}

func TestARetryAfterIsHonoured(t *testing.T) {
	b, r := newSimpleBed(t, nil)
	r.answers(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "999999999")
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	b.connect("globex")
	b.run()
	b.clock.pass(mostRetryAfter - time.Second)
	b.run()
	if n := len(r.all()); n != 1 {
		t.Errorf("%d attempts before it was time", n)
	}
	b.clock.pass(time.Second)
	b.run()
	if n := len(r.all()); n != 2 {
		t.Errorf("%d attempts, want 2: no receiver has it waited for longer than an hour", n)
	}
}

func TestAReceiverThatHangsIsGivenUp(t *testing.T) {
	b, r := newSimpleBed(t, func(o *Options) { o.Timeout = 100 * time.Millisecond })
	// A handler that waits for its request's end might still answer while the client closes the connection.
	release := make(chan struct{})
	defer close(release)
	r.answers(func(http.ResponseWriter, *http.Request) { <-release })
	b.connect("globex")
	b.run()
	if got := b.outcomes(); len(got) != 1 || got[0] != "creation failed: the receiver did not answer in time" {
		t.Errorf("%q", got)
	}
}

// TestOneDeadReceiverStarvesNobody: what is for it waits on its own, and finds out now and then.
func TestOneDeadReceiverStarvesNobody(t *testing.T) {
	dead, alive := newReceiver(t), newReceiver(t)
	dead.answers(status(500))
	b := newBed(t, &storetest.Memory{}, newClock(), func(o *Options) {
		o.TLS = alive.trust()
		o.TLS.RootCAs.AddCert(dead.Certificate())
		o.Concurrency, o.PerHost, o.MaxPerURL = 4, 2, 50
	}, Endpoint{URL: dead.URL, Secrets: secrets(t, testSecret)}, Endpoint{URL: alive.URL, Secrets: secrets(t, testSecret)})
	for i := range 40 {
		b.connect(fmt.Sprint("o", i))
	}
	b.run()
	if n := len(alive.take()); n != 40 {
		t.Errorf("%d of 40 reached the one that is alive", n)
	}
	if n := len(dead.take()); n > circuitFailures+2 {
		t.Errorf("%d attempts with the dead one, of which %d show that it is", n, circuitFailures)
	}
	for range 12 {
		b.clock.pass(circuitMost * 2)
		b.run()
		if n := len(dead.take()); n != 1 {
			t.Errorf("%d attempts to find out whether it is back", n)
		}
	}
	// No more than its share waits.
	for i := range 40 {
		b.connect(fmt.Sprint("p", i))
	}
	b.run()
	if n := len(alive.take()); n != 40 {
		t.Errorf("%d of 40 reached the one that is alive", n)
	}
	if n := b.QueueLength(); n != 50 {
		t.Errorf("%d wait for the dead one, want 50", n)
	}
	if got := b.outcomes(); !strings.Contains(strings.Join(got, "\n"), "creation dropped: too much waits to be sent") {
		t.Error("it was not said that some were dropped")
	}
	// When it is back it gets the rest.
	dead.answers(nil)
	b.clock.pass(circuitMost * 2)
	b.run()
	b.clock.pass(3 * time.Hour)
	b.run()
	if n := len(dead.take()); n != 50 || b.QueueLength() != 0 {
		t.Errorf("%d came after all, and %d still wait", n, b.QueueLength())
	}
}

func TestWhatWaitsTooLongForADeadReceiverIsDropped(t *testing.T) {
	b, r := newSimpleBed(t, nil)
	r.answers(status(500))
	for i := range 20 {
		b.connect(fmt.Sprint("o", i))
	}
	b.run()
	b.clock.pass(maxAge + time.Minute)
	b.run()
	b.clock.pass(time.Minute) // Of the one that found out.
	b.run()
	if n := b.QueueLength(); n != 0 {
		t.Errorf("%d still wait", n)
	}
	stored(t, b, 0)
}

// TestWhatIsForAnotherConfigurationWaits: an instance that is about to be replaced knows other URLs.
func TestWhatIsForAnotherConfigurationWaits(t *testing.T) {
	m, clock, r := &storetest.Memory{}, newClock(), newReceiver(t)
	r.answers(status(500))
	first := newBed(t, m, clock, trusting(r, nil), Endpoint{URL: r.URL + "/first", Secrets: secrets(t, testSecret)})
	first.connect("globex")
	first.run()
	first.Close()
	r.answers(nil)
	second := newBed(t, m, clock, trusting(r, nil), Endpoint{URL: r.URL + "/second", Secrets: secrets(t, testSecret)})
	clock.pass(time.Hour)
	poll(second)
	second.run()
	stored(t, second, 1)
	third := newBed(t, m, clock, trusting(r, nil), Endpoint{URL: r.URL + "/first", Secrets: secrets(t, testSecret)})
	poll(third)
	r.take()
	third.run()
	if got := r.take(); len(got) != 1 || got[0].path != "/first" {
		t.Errorf("%v", got)
	}
	stored(t, third, 0)
}

func poll(b *bed) {
	b.t.Helper()
	if err := b.poll(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
}

// TestTwoInstancesShareAQueue: each webhook is sent by one of them, whoever made it.
func TestTwoInstancesShareAQueue(t *testing.T) {
	m, clock, r := &storetest.Memory{}, newClock(), newReceiver(t)
	r.answers(status(500))
	endpoint := Endpoint{URL: r.URL, Secrets: secrets(t, testSecret)}
	a := newBed(t, m, clock, trusting(r, nil), endpoint)
	b := newBed(t, m, clock, trusting(r, nil), endpoint)
	for i := range 30 {
		a.connect(fmt.Sprint("o", i))
	}
	poll(b) // What a is about to send is leased.
	b.run()
	if n := len(r.take()); n != 0 {
		t.Errorf("%d were sent by who has no lease", n)
	}
	a.run()
	r.answers(nil)
	clock.pass(10 * time.Minute)
	r.take()
	poll(b)
	// Both at once.
	for range 60 {
		var wg sync.WaitGroup
		for _, one := range []*bed{a, b} {
			wg.Go(func() { one.dispatch(); one.wg.Wait() })
		}
		wg.Wait()
		clock.pass(time.Minute)
	}
	times := make(map[string]int)
	for _, got := range r.take() {
		times[got.header.Get("Webhook-Id")]++
	}
	if len(times) != 30 {
		t.Errorf("%d webhooks, want 30", len(times))
	}
	for id, n := range times {
		if n != 1 {
			t.Errorf("%s was sent %d times", id, n)
		}
	}
	stored(t, a, 0)
}

// TestCloseHandsOver: what is under way when the server stops is sent by the next one, and at once.
func TestCloseHandsOver(t *testing.T) {
	m, clock, r := &storetest.Memory{}, newClock(), newReceiver(t)
	arrived, release := make(chan struct{}, 1), make(chan struct{})
	defer close(release)
	r.answers(func(http.ResponseWriter, *http.Request) {
		arrived <- struct{}{}
		<-release
	})
	endpoint := Endpoint{URL: r.URL, Secrets: secrets(t, testSecret)}
	a := newBed(t, m, clock, trusting(r, nil), endpoint)
	a.connect("globex")
	a.dispatch()
	<-arrived
	a.Close()
	if got := a.outcomes(); len(got) != 0 {
		t.Errorf("%q", got)
	}
	r.take()
	r.answers(nil)
	b := newBed(t, m, clock, trusting(r, nil), endpoint)
	b.Start()
	for deadline := time.Now().Add(20 * time.Second); len(r.all()) == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nothing came")
		}
	}
}

// TestASenderThatRunsSendsBySelf is the whole of it, with a real clock.
func TestASenderThatRunsSendsBySelf(t *testing.T) {
	b, r := newSimpleBed(t, func(o *Options) { o.Poll = 50 * time.Millisecond })
	b.Start()
	c := b.connect("globex")
	if err := b.store.DeleteConnection(context.WithoutCancel(t.Context()), c.ID); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); len(r.all()) < 2 || b.QueueLength() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d came, %q, %v", len(r.all()), b.outcomes(), b.reports)
		}
	}
	stored(t, b, 0)
}
