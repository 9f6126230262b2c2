package webhook

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect"
)

// check says what is wrong with an endpoint.
func (e *Endpoint) check() error {
	name := "webhook override"
	if e.URL != "" {
		name = "webhook " + origin(e.URL)
		if err := connect.CheckWebhookURL(e.URL); err != nil {
			return err
		}
	}
	if n := len(e.Secrets); n < 1 || n > 2 {
		return fmt.Errorf("%s has %d secrets: write one, or two while receivers change over", name, n)
	}
	for _, event := range e.Events {
		if !slices.Contains(Events, event) {
			return fmt.Errorf("%s: %q is no event: write any of %v", name, string(event), Events)
		}
	}
	return nil
}

// CheckURL says whether a connection's own URL may be called, as far as its text tells. Where its name leads
// is checked at each connection to it.
func (s *Sender) CheckURL(text string) error {
	if s.own == nil {
		return errors.New("the webhook's URL: no webhooks are sent here: have one added to the server's configuration first")
	}
	if err := connect.CheckWebhookURL(text); err != nil {
		return err
	}
	u, err := url.Parse(text)
	if err != nil {
		return err
	}
	host := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	addr, err := netip.ParseAddr(host)
	switch {
	case err == nil:
		// One of this machine or its network is only for who wrote the configuration.
		if err := s.policy.Check(u.Host, addr); err != nil {
			return fmt.Errorf("the webhook's URL: %w", err)
		}
	case host == "localhost" || strings.HasSuffix(host, ".localhost"):
		if err := s.policy.Check(u.Host, netip.AddrFrom4([4]byte{127, 0, 0, 1})); err != nil {
			return fmt.Errorf("the webhook's URL: %w", err)
		}
	}
	return nil
}

// origin returns what of a URL may be logged: the rest of some is a secret.
func origin(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return "of no URL"
	}
	return u.Scheme + "://" + u.Host
}
