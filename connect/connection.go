package connect

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"regexp"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/internal/clip"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts"
)

// Connection is a role in a customer's AWS account that the vendor may assume. It holds no
// credentials: those live only in memory.
type Connection struct {
	// ID is a random UUID, in lower case.
	ID string `json:"id"`

	// Integration is the key of the integration that it belongs to.
	Integration string `json:"integration"`

	// RoleARN is the customer's role, ExternalID what its trust policy asks for.
	RoleARN    string `json:"role_arn"`
	ExternalID string `json:"external_id"`

	// Account is the AWS account that the role was verified to be in.
	Account string `json:"account"`

	// Region is the AWS region that is called.
	Region string `json:"region"`

	// BaseURL is what calls are sent below, https. Default: the integration's.
	BaseURL string `json:"base_url,omitempty"`

	// Limits narrow what may be called with it.
	Limits Limits `json:"limits,omitzero"`

	// EndUser and Organization are whom the vendor made its session for.
	EndUser      EndUser      `json:"end_user,omitzero"`
	Organization Organization `json:"organization,omitzero"`

	// WebhookURL is where the vendor is told of this connection in place of the operator's own
	// URLs. See CheckWebhookURL. Default: those.
	WebhookURL string `json:"webhook_url,omitempty"`

	// Tags are the vendor's, see CheckTags. Metadata is the vendor's, too: any JSON values.
	Tags     map[string]string          `json:"tags,omitempty"`
	Metadata map[string]json.RawMessage `json:"metadata,omitempty"`

	// Created is when it was made, Updated when the record was last changed, Verified when the role
	// was last assumed for verification.
	Created  time.Time `json:"created"`
	Updated  time.Time `json:"updated"`
	Verified time.Time `json:"verified,omitzero"`

	// Probe is whether the role asks for its External ID; empty if nobody looked.
	Probe sts.Outcome `json:"probe,omitempty"`

	// LastError is why the role could not be assumed last, nil since it could.
	LastError *Failure `json:"last_error,omitempty"`

	// Paused says that the vendor doesn't want it used.
	Paused bool `json:"paused,omitempty"`
}

// Failure is an error that is kept.
type Failure struct {
	// Code is for programs, Text for people.
	Code Code   `json:"code"`
	Text string `json:"text"`

	// AWSCode and RequestID are AWS's own words; empty if it sent none.
	AWSCode   string `json:"aws_code,omitempty"`
	RequestID string `json:"request_id,omitempty"`

	// Since is when it failed first, with no success in between, and At when it did last.
	Since time.Time `json:"since,omitzero"`
	At    time.Time `json:"at"`

	// Days is on how many days (UTC) it has failed so far, LastDay the last of them, YYYY-MM-DD.
	Days    int    `json:"days,omitempty"`
	LastDay string `json:"last_day,omitempty"`

	// Exhausted is since when it is not tried any more, zero if it is.
	Exhausted time.Time `json:"exhausted,omitzero"`
}

// maxMetadata bounds a connection's metadata in bytes of JSON.
const maxMetadata = 64 << 10

// check says whether a change of the connection may be stored.
func (c *Connection) check() error {
	if err := c.EndUser.Check(); err != nil {
		return err
	}
	if err := c.Organization.Check(); err != nil {
		return err
	}
	if err := CheckTags(c.Tags); err != nil {
		return err
	}
	if err := c.Limits.Check(); err != nil {
		return fmt.Errorf("limits: %w", err)
	}
	if c.BaseURL != "" {
		if err := checkServiceURL(c.BaseURL); err != nil {
			return fmt.Errorf("base_url: %w", err)
		}
	}
	if err := CheckWebhookURL(c.WebhookURL); err != nil {
		return err
	}
	size := 0
	for k, v := range c.Metadata {
		if !json.Valid(v) {
			return fmt.Errorf("the metadata %q is not JSON", clip.Text(k))
		}
		size += len(k) + len(v)
	}
	if size > maxMetadata {
		return fmt.Errorf("the metadata has %d bytes: write at most %d", size, maxMetadata)
	}
	return nil
}

var uuid = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)

// newUUID returns a random UUID (version 4, RFC 9562).
func newUUID() string {
	b := make([]byte, 16)
	rand.Read(b) // Never fails, says its documentation.
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
