package integration_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
)

// TestManyAtOnce sends requests of different users and bodies side by side,
// with reloads in between: each arrives whole, signed by its own identity.
func TestManyAtOnce(t *testing.T) {
	for _, style := range []string{"transport", "short form", "handler and transport", "handler alone"} {
		t.Run(style, func(t *testing.T) {
			sts := newSTS(t)
			up := newEndpoint(t, sts.keys("Role"), nil)
			config := styles[style](up.Addr(), setup{
				options: "service s3\nregion eu-west-1\ncredentials assume_role " + arn("Role") + " {\nfrom broker\nsession_name {http.request.header.X-Amz-Meta-User}\n}",
				global:  "aws_sigv4 {\ncredentials broker " + brokerSource + "\n}\n",
			})
			s := startCaddy(t, config)
			const users, requests = 8, 15
			var wg sync.WaitGroup
			for u := range users {
				wg.Go(func() {
					for i := range requests {
						body := strings.Repeat(fmt.Sprintf("%d/%d ", u, i), 1+i*100)
						text := requestText("PUT", fmt.Sprintf("/%d//%d?i=%d", u, i, i), s.addr(), body, fmt.Sprintf("X-Amz-Meta-User: user-%d", u))
						r, err := tryExchange(s.addr(), text)
						for n := 0; err != nil && n < 20; n++ {
							// Caddy resets connections that come in while it reloads.
							r, err = tryExchange(s.addr(), text)
						}
						if err != nil || r.status != 200 {
							t.Errorf("user %d, request %d: %v, %v", u, i, r, err)
						}
					}
				})
			}
			for range 3 {
				s.reload(config)
			}
			wg.Wait()
			session := map[string]string{}
			for _, call := range sts.callsFor("Role") {
				session[call.issued] = call.form.Get("RoleSessionName")
			}
			if len(session) != users {
				t.Errorf("STS was called %d times, want %d", len(session), users)
			}
			arrived := up.Requests()
			if len(arrived) < users*requests {
				t.Errorf("%d requests arrived, want %d", len(arrived), users*requests)
			}
			for _, r := range up.all(len(arrived)) {
				signature, _ := up.verify(r)
				var u, i int
				fmt.Sscanf(r.Target, "/%d//%d?", &u, &i)
				bodyIs(strings.Repeat(fmt.Sprintf("%d/%d ", u, i), 1+i*100))(t, r)
				if by := session[signature.AccessKeyID]; by != fmt.Sprintf("user-%d", u) || by != r.Get("X-Amz-Meta-User") {
					t.Errorf("%s was signed by %s", r.Line, by)
				}
			}
		})
	}
}
