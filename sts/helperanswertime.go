package sts

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxSession is the longest session that AWS begins at all, that of GetFederationToken. See
// https://docs.aws.amazon.com/STS/latest/APIReference/API_GetFederationToken.html.
const maxSession = 36 * time.Hour

// timeLayouts are the ways to write a point in time; fractions of a second are understood in all of
// them. Those without a zone are UTC.
var timeLayouts = []string{
	time.RFC3339,
	"2006-01-02T15:04:05Z0700",
	"2006-01-02T15:04:05",
	"2006-01-02 15:04:05Z07:00",
	"2006-01-02 15:04:05",
	"20060102T150405Z0700",
	http.TimeFormat,
	time.RFC1123Z,
}

func (c *helperCredentials) takeTime(m member) {
	at, ok := parseTime(m.value)
	switch {
	case !ok:
		c.fail("%s in the answer is no date: it is %s, and has to be one such as 2006-01-02T15:04:05Z, or seconds or milliseconds since 1970",
			m.name, kindOf(m.value))
	case c.expires.name != "" && c.expires.at.Sub(at).Abs() >= time.Second:
		c.fail("the answer has %s and %s, and they differ", c.expires.name, m.name)
	case c.expires.name == "" || at.Before(c.expires.at):
		c.expires = toldTime{m.name, at}
	}
}

// parseTime reads a date, or seconds or milliseconds since 1970, as a number or in a string.
func parseTime(v any) (time.Time, bool) {
	switch v := v.(type) {
	case json.Number:
		return parseUnix(v.String())
	case string:
		v = strings.TrimSpace(v)
		if at, ok := parseUnix(v); ok {
			return at, true
		}
		for _, layout := range timeLayouts {
			for _, text := range []string{v, strings.ToUpper(v)} { // RFC 3339 permits t and z.
				if at, err := time.Parse(layout, text); err == nil {
					return at, true
				}
			}
		}
	}
	return time.Time{}, false
}

// parseUnix reads seconds since 1970, which are less than 1e12 for 30,000 years to come, or milliseconds.
func parseUnix(s string) (time.Time, bool) {
	n, ok := parseSeconds(s)
	if !ok {
		return time.Time{}, false
	}
	if n >= 1e12 {
		n /= 1000
	}
	if n >= 1e12 {
		return time.Time{}, false // Not even a date that can be too far away.
	}
	whole, part := math.Modf(n)
	return time.Unix(int64(whole), int64(part*1e9)).UTC(), true
}

// parseSeconds reads a positive number in decimal.
func parseSeconds(s string) (float64, bool) {
	if s == "" || strings.Trim(s, "0123456789.eE+") != "" {
		return 0, false
	}
	n, err := strconv.ParseFloat(s, 64)
	return n, err == nil && n > 0
}

func (c *helperCredentials) takeLife(m member) {
	text, _ := m.value.(string)
	if n, ok := m.value.(json.Number); ok {
		text = n.String()
	}
	switch _, ok := parseSeconds(text); {
	case !ok:
		c.fail("%s in the answer is no number of seconds", m.name)
	case c.lasts.name != "" && c.lasts.value != text:
		c.fail("the answer has %s twice, and they differ", m.name)
	default:
		c.lasts = toldText{m.name, text}
	}
}

// expiry returns when the credentials expire. If the answer does not say it, that is soon: an hour, which
// others take for granted, is longer than some sessions last.
func (c *helperCredentials) expiry(now time.Time) (time.Time, error) {
	name, at := c.expires.name, c.expires.at
	switch {
	case name != "":
	case c.lasts.name != "":
		seconds, _ := parseSeconds(c.lasts.value)
		name, at = c.lasts.name, now.Add(time.Duration(min(seconds, 1e9)*float64(time.Second)))
	default:
		return now.Add(UnknownHelperLife), nil
	}
	switch left := at.Sub(now); {
	case left <= 0:
		return time.Time{}, fmt.Errorf("the credentials in the answer expired at %s by %s, and it is %s here: is a clock wrong, or are they old?",
			at.UTC().Format(time.RFC3339), name, now.UTC().Format(time.RFC3339))
	case left > maxSession:
		return time.Time{}, fmt.Errorf("the credentials in the answer expire at %s by %s, and no session of AWS's lasts longer than %v: "+
			"is the number one of seconds or of milliseconds since 1970?", at.UTC().Format(time.RFC3339), name, maxSession)
	}
	return at.UTC(), nil
}
