package awssigv4

import (
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/trust"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sources"
)

// unmarshal reads `sts credentials …` and `sts helper …`.
func (s *IntegrationSTS) unmarshal(d *caddyfile.Dispenser) error {
	who := ""
	if d.NextArg() {
		who = d.Val()
	}
	switch who {
	case "credentials":
		var t Target
		if err := t.unmarshalCredentials(d); err != nil {
			return err
		}
		s.CredentialsName, s.CredentialsRaw = t.CredentialsName, t.CredentialsRaw
		return nil
	case "helper":
		s.Helper = new(IntegrationHelper)
		return s.Helper.unmarshal(d)
	}
	return d.Err("sts says who assumes the customers' roles: write `sts credentials NAME`, with a name from the global option aws_sigv4, `sts credentials SOURCE …` or `sts helper URL`")
}

func (h *IntegrationHelper) unmarshal(d *caddyfile.Dispenser) error {
	var err error
	if h.URL, err = sources.OneArg(d); err != nil {
		return err
	}
	if err := h.CheckWritten(); err != nil {
		return d.WrapErr(err)
	}
	seen := make(map[string]bool)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		switch d.Val() {
		case "principal", "probe":
			if err := sources.Once(d, seen); err != nil {
				return err
			}
			if d.Val() == "probe" {
				_, err = sources.Args(d, 0, 0)
				h.Probe = true
			} else {
				err = oneValue(d, &h.Principal, checkPrincipal)
			}
		default:
			err = h.UnmarshalOption(d, seen, "principal", "probe")
		}
		if err != nil {
			return err
		}
	}
	if h.Principal == "" {
		return d.Err("sts helper has no principal, so customers would not know whom their roles have to trust: write `principal ARN` in its block, with the role or user that the helper assumes roles as")
	}
	if err := h.CheckAllWritten(); err != nil {
		return d.WrapErr(err)
	}
	return nil
}

func checkPrincipal(text string) error {
	partition := "aws"
	if arn := strings.Split(text, ":"); arn[0] == "arn" && len(arn) > 1 {
		partition = arn[1]
	}
	_, err := trust.ParsePrincipal(partition, text)
	return err
}
