package awssigv4

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/endpoint"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "aws-sigv4",
		Short: "Helps with signing requests to AWS",
		CobraFunc: func(cmd *cobra.Command) {
			// Cobra answers an unknown subcommand of a command that does
			// nothing itself with its help and success.
			cmd.Args = func(_ *cobra.Command, args []string) error {
				if len(args) > 0 {
					return fmt.Errorf("%q is no subcommand of aws-sigv4: write `caddy aws-sigv4 explain HOST`", args[0])
				}
				return nil
			}
			cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
			cmd.AddCommand(explainCommand())
		},
	})
}

func explainCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "explain [--json] <host|url>",
		Short: "Says which service, region and rules a host is signed with",
		Long: `
Says for which service and region requests to an upstream are signed if its
options don't say it, by which algorithm, and whether the table of exceptions or a rule decided it. Of a URL,
only the host counts. Nothing is sent over the network.

Where the host does not tell, the exit status is 1, and the message says which
options to write.

--json prints one object with the keys service, region, partition, algorithm,
path_rule, payload_rule and reason.
`,
		Example: "  caddy aws-sigv4 explain https://my-bucket.s3.eu-west-1.amazonaws.com",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("explain takes one host or URL, not %d: write `caddy aws-sigv4 explain HOST`", len(args))
			}
			return nil
		},
	}
	asJSON := cmd.Flags().Bool("json", false, "Print one JSON object")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		e, err := endpoint.Parse(hostOf(args[0]))
		if err != nil {
			return err
		}
		if *asJSON {
			return writeJSON(cmd.OutOrStdout(), e)
		}
		return writeLines(cmd.OutOrStdout(), e)
	}
	return cmd
}

// hostOf cuts the host out of a URL, with its port. It doesn't parse the rest,
// whose form is no matter here; user information stays, to be refused.
func hostOf(arg string) string {
	if scheme, rest, ok := strings.Cut(arg, "://"); ok && !strings.ContainsAny(scheme, "/?#") {
		arg = rest
	}
	if i := strings.IndexAny(arg, "/?#"); i >= 0 {
		arg = arg[:i]
	}
	return arg
}

func writeJSON(w io.Writer, e endpoint.Endpoint) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false) // a reason may hold "<"; this is no web page
	return enc.Encode(e)
}

func writeLines(w io.Writer, e endpoint.Endpoint) error {
	for _, line := range [][2]string{
		{"service:", e.Service},
		{"region:", e.Region},
		{"partition:", e.Partition},
		{"algorithm:", string(e.Algorithm)},
		{"path_rule:", string(e.PathRule)},
		{"payload_rule:", string(e.PayloadRule)},
		{"reason:", e.Reason},
	} {
		if _, err := fmt.Fprintf(w, "%-14s%s\n", line[0], line[1]); err != nil {
			return err
		}
	}
	return nil
}
