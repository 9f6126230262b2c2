// Package wireverify plays the AWS endpoint in tests: it reads requests byte
// by byte from a socket, and recomputes their AWS Signature Version 4 from
// nothing but those bytes. It shares no code with the signer that it checks,
// knows only HTTP/1.1 and the standard library, and wherever AWS services
// differ in what they accept it refuses what any of them would.
package wireverify

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Header is one header line as it was received: the name in its own case, the
// value without the blanks around it.
type Header struct{ Name, Value string }

// Request is a request as it came over the wire.
type Request struct {
	// Line is the request line without its end.
	Line string
	// Method, Target and Proto are its three parts.
	Method, Target, Proto string
	// Headers are the header lines in the order in which they came.
	Headers []Header
	// Body is what was received of the body, without chunked framing.
	Body []byte
	// Trailers are the trailer lines of a chunked body.
	Trailers []Header
	// Length is the Content-Length, or -1 if there was none.
	Length int64
	// Chunked tells whether the body came with Transfer-Encoding: chunked.
	Chunked bool
	// Complete tells whether the body ended where its framing says it ends.
	Complete bool
	// TLS tells whether the connection was encrypted.
	TLS bool
	// Connection counts the server's connections from 1.
	Connection int
}

// Values returns the values of all header lines with a name, in any case.
func (r *Request) Values(name string) []string {
	var values []string
	for _, h := range r.Headers {
		if strings.EqualFold(h.Name, name) {
			values = append(values, h.Value)
		}
	}
	return values
}

// Get returns the value of the first header line with a name, in any case, or
// "".
func (r *Request) Get(name string) string {
	if v := r.Values(name); len(v) > 0 {
		return v[0]
	}
	return ""
}

// ErrNoRequest says that the connection ended before a request began.
var ErrNoRequest = errors.New("the connection ended before a request")

// maxHead bounds a request's line and headers, in bytes.
const maxHead = 1 << 20

// ReadHead reads a request line and the headers. Everything that servers read
// in more than one way is an error: bare line feeds, folded lines, blanks
// around names, Content-Length beside Transfer-Encoding, and repeated ones.
func ReadHead(br *bufio.Reader) (*Request, error) {
	r := &Request{Length: -1}
	left := maxHead
	line, err := readLine(br, &left)
	switch {
	case errors.Is(err, io.EOF) && line == "":
		return nil, ErrNoRequest
	case err != nil:
		return nil, fmt.Errorf("request line: %w", err)
	}
	r.Line = line
	parts := strings.Split(line, " ")
	if len(parts) != 3 {
		return r, fmt.Errorf("request line %q has %d parts, want 3", line, len(parts))
	}
	r.Method, r.Target, r.Proto = parts[0], parts[1], parts[2]
	if r.Proto != "HTTP/1.1" {
		return r, fmt.Errorf("protocol %q, want HTTP/1.1", r.Proto)
	}
	if r.Headers, err = readFields(br, &left); err != nil {
		return r, err
	}
	return r, r.readFraming()
}

func (r *Request) readFraming() error {
	lengths, codings := r.Values("Content-Length"), r.Values("Transfer-Encoding")
	switch {
	case len(lengths) > 1 || len(codings) > 1:
		return errors.New("the body's framing is given twice")
	case len(lengths) == 1 && len(codings) == 1:
		return errors.New("Content-Length stands beside Transfer-Encoding")
	case len(codings) == 1:
		if codings[0] != "chunked" {
			return fmt.Errorf("Transfer-Encoding is %q, want chunked", codings[0])
		}
		r.Chunked = true
	case len(lengths) == 1:
		n, err := strconv.ParseUint(lengths[0], 10, 62)
		if err != nil || strings.TrimLeft(lengths[0], "0123456789") != "" {
			return fmt.Errorf("Content-Length is %q", lengths[0])
		}
		r.Length = int64(n)
	}
	return nil
}

// ReadBody reads at most limit bytes of the body, all of it if limit is
// negative, and adds them to Body.
func (r *Request) ReadBody(br *bufio.Reader, limit int64) error {
	if r.Chunked {
		return r.readChunks(br, limit)
	}
	want := max(r.Length, 0)
	cut := limit >= 0 && limit < want
	if cut {
		want = limit
	}
	var b bytes.Buffer
	_, err := io.CopyN(&b, br, want)
	r.Body = append(r.Body, b.Bytes()...)
	if err != nil {
		return fmt.Errorf("body ended after %d of %d bytes: %w", len(r.Body), r.Length, err)
	}
	r.Complete = !cut
	return nil
}

func (r *Request) readChunks(br *bufio.Reader, limit int64) error {
	for {
		left := 64
		line, err := readLine(br, &left)
		if err != nil {
			return fmt.Errorf("chunk after %d bytes: %w", len(r.Body), err)
		}
		size, err := strconv.ParseUint(line, 16, 31)
		if err != nil {
			return fmt.Errorf("chunk size %q", line)
		}
		if size == 0 {
			break
		}
		if limit >= 0 && int64(len(r.Body))+int64(size) > limit {
			size = uint64(limit - int64(len(r.Body)))
		}
		chunk := make([]byte, size)
		n, err := io.ReadFull(br, chunk)
		r.Body = append(r.Body, chunk[:n]...)
		if err != nil {
			return fmt.Errorf("chunked body ended after %d bytes: %w", len(r.Body), err)
		}
		if limit >= 0 && int64(len(r.Body)) >= limit {
			return nil
		}
		left = 2
		if end, err := readLine(br, &left); err != nil || end != "" {
			return fmt.Errorf("chunk does not end in a line end: %q, %w", end, err)
		}
	}
	left := maxHead
	var err error
	r.Trailers, err = readFields(br, &left)
	r.Complete = err == nil
	return err
}

// readFields reads lines of fields up to the empty one.
func readFields(br *bufio.Reader, left *int) ([]Header, error) {
	var fields []Header
	for {
		line, err := readLine(br, left)
		if err != nil {
			return fields, fmt.Errorf("after %d header lines: %w", len(fields), err)
		}
		if line == "" {
			return fields, nil
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok || name == "" || strings.ContainsAny(name, " \t") {
			return fields, fmt.Errorf("header line %q has no name, or blanks in it", line)
		}
		if i := strings.IndexFunc(value, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }); i >= 0 {
			return fields, fmt.Errorf("header line %q holds a control character", line)
		}
		fields = append(fields, Header{name, strings.Trim(value, " \t")})
	}
}

// readLine reads a line that ends in CR LF and returns it without them.
func readLine(br *bufio.Reader, left *int) (string, error) {
	var line []byte
	for {
		part, err := br.ReadSlice('\n')
		line = append(line, part...)
		if *left -= len(part); *left < 0 {
			return string(line), errors.New("the lines are too long")
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err != nil {
			return string(line), err
		}
		text, ok := bytes.CutSuffix(line, []byte("\r\n"))
		if !ok || bytes.IndexByte(text, '\r') >= 0 {
			return string(line), fmt.Errorf("line %q does not end in CR LF, or holds another CR", line)
		}
		return string(text), nil
	}
}
