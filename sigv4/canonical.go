package sigv4

import (
	"bytes"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// field is one header on its way into the canonical request. Fields of one
// name that a map spells in several ways are neighbours after sorting.
type field struct {
	// name is in lower case.
	name []byte
	// key is the spelling in the map; it makes the order of fields of one
	// name deterministic.
	key string
	// values are the map's; nil for a field that is not from a map, whose
	// only value is value, free of blanks.
	values []string
	value  string
}

// scratch is the memory of one signature, reused by the next.
type scratch struct {
	// buffer holds the canonical request, later the string to sign and the
	// rest.
	buffer []byte
	// names holds the lower-case names that fields point to.
	names  []byte
	fields []field
	// order holds the indexes of the fields, sorted. To sort numbers costs
	// less than to sort fields, of whose pointers the garbage collector is
	// told one by one.
	order []int
	// strays are keys of the map that are to be deleted: other spellings of
	// headers that Sign writes.
	strays []string
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// maxKept bounds the bytes that one scratch keeps between signatures.
const maxKept = 64 << 10

func (s *scratch) release() {
	// The fields point into maps of others; the pool must not keep those
	// alive.
	clear(s.fields)
	clear(s.strays)
	if cap(s.buffer) > maxKept || cap(s.names) > maxKept || cap(s.fields) > 1024 {
		return
	}
	s.buffer, s.names = s.buffer[:0], s.names[:0]
	s.fields, s.order, s.strays = s.fields[:0], s.order[:0], s.strays[:0]
	scratches.Put(s)
}

// lower returns the name in lower case, in memory that lives as long as the
// scratch.
func (s *scratch) lower(name string) []byte {
	start := len(s.names)
	for i := range len(name) {
		c := name[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		s.names = append(s.names, c)
	}
	return s.names[start:len(s.names):len(s.names)]
}

// add takes a header that is not in the map, and whose value is checked and
// holds no blanks.
func (s *scratch) add(lowerName, value string) {
	s.fields = append(s.fields, field{name: s.lower(lowerName), key: lowerName, value: value})
}

// addHeader takes a header from the map, checked. A header without values is
// not sent, so it is not signed either.
func (s *scratch) addHeader(name []byte, key string, values []string) error {
	if len(values) == 0 {
		return nil
	}
	if !tokenBytes.all(key) {
		return inputError("header name " + quoteClipped(key, 64) + " is no field name: remove the header")
	}
	for _, v := range values {
		if !isFieldValue(v) {
			return inputError("header " + string(name) + " has a value with a control byte: remove line breaks and NUL from it")
		}
	}
	s.fields = append(s.fields, field{name: name, key: key, values: values})
	return nil
}

// isFieldValue reports whether net/http would send v: no control bytes but the
// tab, RFC 9110 §5.5.
func isFieldValue(v string) bool {
	for i := range len(v) {
		if c := v[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// sortFields puts the fields into order, by name.
func (s *scratch) sortFields() {
	s.order = s.order[:0]
	for i := range s.fields {
		s.order = append(s.order, i)
	}
	slices.SortFunc(s.order, func(i, j int) int {
		x, y := &s.fields[i], &s.fields[j]
		if c := bytes.Compare(x.name, y.name); c != 0 {
			return c
		}
		return strings.Compare(x.key, y.key)
	})
}

// has reports whether there is a field of that name; the fields are sorted.
func (s *scratch) has(lowerName string) bool {
	_, ok := slices.BinarySearchFunc(s.order, lowerName, func(i int, name string) int {
		return strings.Compare(string(s.fields[i].name), name)
	})
	return ok
}

// appendCanonicalRequest appends the canonical request to b: method, path,
// query, headers, the names of the headers, payload hash. The fields are
// sorted.
func (s *scratch) appendCanonicalRequest(b []byte, method, path, query, payloadHash string) []byte {
	b = append(append(b, method...), '\n')
	b = append(append(b, path...), '\n')
	b = append(append(b, query...), '\n')
	var last []byte
	for _, at := range s.order {
		f := &s.fields[at]
		if last != nil && bytes.Equal(f.name, last) {
			// Over the previous line's end.
			b[len(b)-1] = ','
		} else {
			b = append(append(b, f.name...), ':')
		}
		last = f.name
		if f.values == nil {
			b = append(b, f.value...)
		}
		for j, v := range f.values {
			if j > 0 {
				b = append(b, ',')
			}
			b = appendFieldValue(b, v)
		}
		b = append(b, '\n')
	}
	b = append(b, '\n')
	b = s.appendSignedHeaders(b)
	b = append(b, '\n')
	return append(b, payloadHash...)
}

// appendSignedHeaders appends the names of the sorted fields, each once.
func (s *scratch) appendSignedHeaders(b []byte) []byte {
	var last []byte
	for _, at := range s.order {
		name := s.fields[at].name
		if last != nil {
			if bytes.Equal(name, last) {
				continue
			}
			b = append(b, ';')
		}
		b = append(b, name...)
		last = name
	}
	return b
}

// appendFieldValue appends a value without blanks around it and with each run
// of blanks inside it as one space. A tab is a blank here, as it is for the
// AWS SDKs for Python, JavaScript, Java and C; the one for Go collapses spaces
// only.
func appendFieldValue(b []byte, v string) []byte {
	v = strings.Trim(v, " \t")
	// These two searches are fast, and nearly always the end of it.
	if strings.IndexByte(v, '\t') < 0 && !strings.Contains(v, "  ") {
		return append(b, v...)
	}
	blank := false
	for i := range len(v) {
		if c := v[i]; c != ' ' && c != '\t' {
			b = append(b, c)
			blank = false
		} else if !blank {
			b = append(b, ' ')
			blank = true
		}
	}
	return b
}

// headerValues returns all values of a header, however the map spells its
// name.
func headerValues(h http.Header, lowerName string) []string {
	var all []string
	for key, values := range h {
		if len(key) == len(lowerName) && lowerASCII(key) == lowerName {
			all = append(all, values...)
		}
	}
	return all
}
