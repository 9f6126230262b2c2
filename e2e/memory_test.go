package e2e_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
)

// growth is how much a body of any size may add to the memory of the process.
const growth = 32 * mebi

// TestMemory sends large bodies up and down through a Caddy of its own, which may not grow by as much as growth: by what
// the system says of the process, not by what Go says of its heap. E2E_BODY_MIB is the size; scripts/long makes it 1024.
func TestMemory(t *testing.T) {
	size := int64(256 * mebi)
	if v := os.Getenv("E2E_BODY_MIB"); v != "" {
		n, err := strconv.ParseInt(v, 10, 32)
		if err != nil || n < 1 {
			t.Fatalf("E2E_BODY_MIB is %q: write a number of MiB", v)
		}
		size = n * mebi
	}
	for _, tt := range uploads {
		t.Run(tt.name, func(t *testing.T) { tt.run(t, size) })
	}
}

// upload is a way in which a large body passes.
type upload struct {
	name    string
	routes  string
	unknown bool // its length
	inAFile bool // while it waits to be sent
}

var uploads = []upload{
	{name: "spooled, over HTTP", routes: styles["short form"], inAFile: true},
	{name: "spooled, over HTTP, length unknown", routes: styles["short form"], unknown: true, inAFile: true},
	{name: "spooled, over TLS", routes: strings.Replace(overTLS, "<target>", "<target>\n\t\tpayload signed", 1), inAFile: true},
	{name: "spooled, over TLS, unsigned, length unknown", routes: strings.Replace(overTLS, "<target>", "<target>\n\t\tpayload unsigned", 1), unknown: true, inAFile: true},
	{name: "streamed, over TLS, unsigned", routes: overTLS},
	{name: "spooled by the transport alone", routes: styles["transport"], inAFile: true},
}

// run puts an object and gets it, and says what it took.
func (u upload) run(t *testing.T, size int64) {
	needProc(t)
	b := newBed(t)
	p := b.startProcess(t, sites(u.routes))
	for i := range 20 { // What the first requests take has nothing to do with bodies.
		key := fmt.Sprintf("/bucket/%d", i)
		b.do("PUT", key, strings.Repeat("x", 3000)).expect(t, "put", 200)
		b.do("GET", key, "").expect(t, "get", 200)
	}
	before, _ := p.memory()

	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://"+b.site+"/bucket/large", struct{ io.Reader }{noise(size)})
	if err != nil {
		t.Fatal(err)
	}
	req.ContentLength = size
	if u.unknown {
		req.ContentLength = -1
	}
	inAFile := p.watchSpool(size)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	answer, _ := io.ReadAll(res.Body)
	res.Body.Close()
	if got := inAFile(); got != u.inAFile {
		t.Errorf("the whole body was in a file: %t, want %t", got, u.inAFile)
	}
	_, up := p.memory()
	want := hashOf(noise(size))
	if res.StatusCode != http.StatusOK || b.stored("large") != want {
		t.Fatalf("%s %s; or S3 has other bytes", res.Status, answer)
	}

	if res, err = http.Get("http://" + b.site + "/bucket/large"); err != nil {
		t.Fatal(err)
	}
	if got := hashOf(res.Body); got != want || res.ContentLength != size {
		t.Errorf("got %d bytes, or other ones", res.ContentLength)
	}
	res.Body.Close()
	_, down := p.memory()
	t.Logf("%d MiB: the process had %.1f MiB in memory, %.1f MiB more at most while it went up, %.1f MiB more once it had gone down again",
		size/mebi, float64(before)/mebi, float64(up-before)/mebi, float64(down-before)/mebi)
	if down-before >= growth {
		t.Errorf("the process grew by %d bytes, want less than %d", down-before, growth)
	}
}
