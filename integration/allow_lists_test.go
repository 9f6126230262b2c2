package integration_test

import (
	"fmt"
	"testing"
)

// TestAllowLists: what is not on a list is answered 403 before any credentials
// are fetched, and nothing is sent.
func TestAllowLists(t *testing.T) {
	tests := map[string]struct {
		options string
		good    []string // header lines
		bad     [][]string
	}{
		"allow_services": {
			"service {header.X-Service}\nregion eu-west-1\nallow_services s3 es",
			[]string{"X-Service: es"},
			[][]string{{"X-Service: sts"}, {"X-Service: S3"}, {"X-Service: s3/eu-west-1"}, {"X-Service:"}, {}},
		},
		"allow_regions": {
			"service s3\nregion {header.X-Region}\nallow_regions eu-west-1",
			[]string{"X-Region: eu-west-1"},
			[][]string{{"X-Region: us-east-1"}, {"X-Region: eu-west-1/x"}, {"X-Region: {env.HOME}"}, {}},
		},
		"allow_hosts": {
			"service s3\nregion eu-west-1\nhost {header.X-Host}\nallow_hosts *.allowed.example 127.0.0.1",
			[]string{"X-Host: a.allowed.example"},
			[][]string{
				{"X-Host: a.other.example"},
				{"X-Host: allowed.example"},
				{"X-Host: a.allowed.example/x"},
				{"X-Host: a.allowed.example@evil.example"},
				{"X-Host: xallowed.example"},
				{"X-Host: a.allowed.example evil.example"},
				{},
			},
		},
		"the dialled host": {
			"service s3\nregion eu-west-1\nhost {header.X-Host}\nallow_hosts *.allowed.example 127.0.0.2", nil,
			[][]string{{"X-Host: a.allowed.example"}},
		},
		"allow_roles": {
			"service s3\nregion eu-west-1\nallow_roles " + arn("Role") + " " + arn("team/*") + "\n" +
				"credentials assume_role " + arn("{http.request.header.X-Role}") + " {\nfrom broker\n}",
			[]string{"X-Role: Role"},
			[][]string{{"X-Role: Other"}, {"X-Role: team/a/b"}, {"X-Role: Role/../Other"}, {"X-Role: Role*"}, {"X-Role: {env.HOME}"}, {}},
		},
	}
	for name, tt := range tests {
		for _, style := range []string{"transport", "short form", "handler and transport", "handler alone"} {
			if style == "handler alone" && name == "the dialled host" {
				continue // It does not know who is dialled.
			}
			t.Run(name+"/"+style, func(t *testing.T) {
				sts := newSTS(t)
				up := newEndpoint(t, sts.keys("Role"), nil)
				set := setup{options: tt.options, global: "aws_sigv4 {\ncredentials broker " + brokerSource + "\n}\n"}
				if name != "allow_roles" {
					set.options += "\ncredentials assume_role " + arn("Role") + " {\nfrom broker\n}"
				}
				if name == "allow_hosts" {
					set.host, up.host = "none", "a.allowed.example"
				}
				s := startCaddy(t, withErrorRoutes(styles[style](up.Addr(), set)))
				for _, lines := range tt.bad {
					if r := s.get("/", lines...); r.status != 403 {
						t.Errorf("%q: answered %v, want 403", lines, r)
					}
				}
				up.nothing()
				// Whom a transport dials is nothing that the handler before it knows.
				if calls := len(sts.Requests()); calls != 0 && name != "the dialled host" {
					t.Errorf("STS was called %d times for what is not allowed", calls)
				}
				if tt.good != nil {
					s.get("/", tt.good...).expect(t, 200, "ASIAROLE")
					up.all(1)
				}
			})
		}
	}
}

// TestHandlersListsHoldBehindIt: a transport behind a handler is bound by the
// handler's lists as by its own.
func TestHandlersListsHoldBehindIt(t *testing.T) {
	up := newEndpoint(t, newKeyring(), nil)
	s := startCaddy(t, site(setup{}, fmt.Sprintf(
		"@region header X-Region *\n@host header X-Host *\n@any {\nnot header X-Region *\nnot header X-Host *\n}\n"+
			"aws_sigv4 @region {\n%s\nallow_regions eu-west-1\n}\n"+
			"aws_sigv4 @host {\n%s\nallow_hosts other.example\n}\n"+
			"aws_sigv4 @any {\n%s\n}\n"+
			"reverse_proxy %s {\ntransport aws_sigv4 {\nupstream 127.0.0.1 {\nservice s3\nregion us-east-1\n}\n}\n}",
		alice, alice, alice, up.Addr())))
	s.get("/", "X-Region: 1").expect(t, 403)
	s.get("/", "X-Host: 1").expect(t, 403)
	up.nothing()
	s.get("/").expect(t, 200, "in us-east-1")
	up.all(1)
}
