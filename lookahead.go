package awssigv4

import (
	"io"
	"sync"
	"time"
)

// lookahead is a body whose beginning is looked at before its reader gets it. A
// stream can't be held up so: what does not come in time is left to the reader.
type lookahead struct {
	body io.ReadCloser
	done chan struct{} // closed when fill has ended

	mu     sync.Mutex
	more   sync.Cond
	ahead  []byte
	taken  int // how much of it the reader has
	ended  bool
	reason error // why fill ended, unless that is the limit
}

// lookAhead reads up to limit bytes of a body. It returns them if they, or all
// that there are, come within the patience, else nil; and the body, whole.
func lookAhead(body io.ReadCloser, limit int, patience time.Duration) ([]byte, io.ReadCloser) {
	l := &lookahead{body: body, done: make(chan struct{})}
	l.more.L = &l.mu
	go l.fill(limit)
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-l.done:
		return l.ahead, l
	case <-timer.C:
		return nil, l
	}
}

func (l *lookahead) fill(limit int) {
	defer close(l.done)
	buf := make([]byte, min(limit, 4<<10))
	for read, ended := 0, false; !ended; {
		n, err := l.body.Read(buf[:min(len(buf), limit-read)])
		read += n
		ended = err != nil || read == limit
		l.mu.Lock()
		l.ahead = append(l.ahead, buf[:n]...)
		l.ended, l.reason = ended, err
		l.mu.Unlock()
		l.more.Signal()
	}
}

// Read implements io.Reader.
func (l *lookahead) Read(p []byte) (int, error) {
	l.mu.Lock()
	for l.taken == len(l.ahead) && !l.ended {
		l.more.Wait()
	}
	n := copy(p, l.ahead[l.taken:])
	l.taken += n
	rest, reason := l.taken == len(l.ahead), l.reason
	l.mu.Unlock()
	switch {
	case n > 0 || !rest:
		return n, nil
	case reason != nil:
		return 0, reason
	}
	return l.body.Read(p)
}

// Close implements io.Closer. It ends a read that is under way.
func (l *lookahead) Close() error { return l.body.Close() }
