package quickcreate

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/endpoint"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/internal/clip"
)

// Location is an object in S3 that CloudFormation can read a template from.
type Location struct {
	// Partition is the ID of the AWS partition that the bucket is in.
	Partition string

	// Region is the bucket's; empty if the URL does not tell it, as those of the global endpoint.
	Region string

	// Bucket is the bucket's name, or the alias of an access point.
	Bucket string

	// Key is the object's, decoded.
	Key string

	// VersionID is the object's version; empty means the latest.
	VersionID string
}

// maxTemplateURL is how long a URL the console takes. See
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cfn-using-console-create-stack-template.html.
const maxTemplateURL = 1024

// ParseLocation reads a template's URL. CloudFormation takes those of objects in S3: virtual-hosted
// and path-style, with and without a region, of dual-stack and FIPS endpoints, and the older ones
// with s3-REGION. The error is a *LinkError.
// See https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html.
func ParseLocation(rawURL string) (Location, error) {
	u, err := parseTemplateURL(rawURL)
	if err != nil {
		return Location{}, err
	}
	loc, err := parseHost(strings.ToLower(u.Hostname()))
	if err != nil {
		return Location{}, err
	}
	path := strings.TrimPrefix(u.Path, "/")
	if loc.Bucket == "" {
		loc.Bucket, path, _ = strings.Cut(path, "/")
		if !oldBucket.MatchString(loc.Bucket) {
			return Location{}, refuse(BadURL, "%q is no name of a bucket", clip.Text(loc.Bucket))
		}
	} else if len(loc.Bucket) < 3 || len(loc.Bucket) > 63 || !bucket.MatchString(loc.Bucket) {
		return Location{}, refuse(BadURL, "%q is no name of a bucket", clip.Text(loc.Bucket))
	}
	if path == "" || strings.HasSuffix(path, "/") {
		return Location{}, refuse(BadURL, "the URL names no object in the bucket %s: write its key after it", loc.Bucket)
	}
	loc.Key = path
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return Location{}, refuse(BadURL, "its query can't be read")
	}
	loc.VersionID = query.Get("versionId")
	if len(query) > 1 || len(query) == 1 && (len(query["versionId"]) != 1 || loc.VersionID == "") {
		return Location{}, refuse(Query, "its query is more than a versionId: a signed URL expires, make the object readable to customers instead")
	}
	return loc, nil
}

var (
	// bucket is a name that may stand in a host, but for its length.
	bucket = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$`)
	// oldBucket is one that may stand in a path: us-east-1 has names from before there was a rule.
	oldBucket = regexp.MustCompile(`^[A-Za-z0-9._-]{3,255}$`)
)

// parseTemplateURL has all of an https URL checked but what S3 says about it.
func parseTemplateURL(rawURL string) (*url.URL, error) {
	if rawURL == "" {
		return nil, refuse(NoURL, "the template has no URL")
	}
	for i := range len(rawURL) {
		if c := rawURL[i]; c <= ' ' || c >= 0x7f {
			return nil, refuse(BadURL, "the template's URL has a character at byte %d that must be percent-encoded", i+1)
		}
	}
	u, err := url.Parse(rawURL)
	if err != nil || u.Scheme == "https" && u.Host == "" {
		return nil, refuse(BadURL, "the template's URL can't be read")
	}
	switch {
	case u.Scheme == "s3":
		return nil, refuse(NotHTTPS, "the console takes no s3:// address: write https://BUCKET.s3.REGION.amazonaws.com/KEY")
	case u.Scheme != "https":
		return nil, refuse(NotHTTPS, "the template's URL does not begin with https://")
	case u.User != nil:
		return nil, refuse(BadURL, "the template's URL has a user name in it")
	case u.Host != u.Hostname():
		return nil, refuse(NotS3, "the template's URL has a port or brackets around its host, which no address of S3 has")
	case strings.Contains(rawURL, "#"):
		return nil, refuse(BadURL, "the template's URL has a # in it: write %%23 if it belongs to the key")
	case len(rawURL) > maxTemplateURL:
		return nil, refuse(TooLong, "the template's URL has %d characters, and the console takes %d", len(rawURL), maxTemplateURL)
	}
	for segment := range strings.SplitSeq(u.Path, "/") {
		if segment == "." || segment == ".." {
			return nil, refuse(BadURL, "the template's URL has a segment %q, which is resolved differently on its way", segment)
		}
	}
	return u, nil
}

// parseHost reads a host from its right end, because its left end is the bucket's name, which may
// look like anything.
func parseHost(host string) (Location, error) {
	rest, suffix := host, ""
	for _, p := range endpoint.Partitions() {
		if left, ok := strings.CutSuffix(host, "."+p.Suffix); ok && len(p.Suffix) > len(suffix) {
			rest, suffix = left, p.Suffix
		}
	}
	if suffix == "" {
		return Location{}, refuse(NotS3, "%q is no host of S3, and CloudFormation reads templates from S3 only", clip.Text(host))
	}
	labels := strings.Split(rest, ".")
	pop := func() (last string) {
		if len(labels) > 0 {
			last, labels = labels[len(labels)-1], labels[:len(labels)-1]
		}
		return last
	}
	last := pop()
	region, service := "", last
	if _, ok := endpoint.PartitionOf(last); ok {
		region, service = last, pop()
		if service == "dualstack" {
			service = pop()
		}
	} else if before, dash, ok := cutRegion(last); ok {
		service, region = before, dash
	}
	switch {
	case service == "s3" || service == "s3-fips" && region != "":
	case service == "s3-external-1" && region == "":
		region = "us-east-1"
	case service == "s3-website":
		return Location{}, refuse(Website, "%q is a website endpoint, which CloudFormation does not read: write the bucket's own address", clip.Text(host))
	case service == "s3-accesspoint" || service == "s3-accesspoint-fips" || service == "s3-global":
		return Location{}, refuse(AccessPoint, "%q is an access point: write its alias as the bucket, as in https://ALIAS-s3alias.s3.REGION.amazonaws.com/KEY", clip.Text(host))
	default:
		return Location{}, refuse(NotS3, "%q is no address of a bucket in S3", clip.Text(host))
	}
	loc := Location{Partition: "aws", Region: region, Bucket: strings.Join(labels, ".")}
	p, ok := endpoint.PartitionOf(region)
	switch {
	case region == "" && suffix != "amazonaws.com":
		return Location{}, refuse(NotS3, "%q lacks the region, which S3 needs there", clip.Text(host))
	case region != "" && (!ok || p.Suffix != suffix):
		return Location{}, refuse(NotS3, "%q mixes the region %s with the domain of another partition", clip.Text(host), clip.Text(region))
	case region != "":
		loc.Partition = p.ID
	}
	return loc, nil
}

// cutRegion takes the older form apart: s3-eu-west-1, s3-website-us-east-1.
func cutRegion(label string) (service, region string, ok bool) {
	for _, service := range []string{"s3-website", "s3-fips", "s3"} {
		if region, ok := strings.CutPrefix(label, service+"-"); ok {
			if _, ok := endpoint.PartitionOf(region); ok {
				return service, region, true
			}
		}
	}
	return "", "", false
}

// LinkError says why there is no link to the console.
type LinkError struct {
	// Reason is the kind of thing that is wrong.
	Reason Reason
	// Detail says it, and what to write instead where that is known.
	Detail string
}

// Error returns the detail.
func (e *LinkError) Error() string { return e.Detail }

// Reason is a kind of obstacle to a link. Programs and translations go by it.
type Reason string

// The reasons why a link can't work.
const (
	NoURL       Reason = "no_url"       // the template is a file
	BadURL      Reason = "bad_url"      // the URL can't be read
	NotHTTPS    Reason = "not_https"    // it is of another scheme
	NotS3       Reason = "not_s3"       // it is not S3's
	Website     Reason = "website"      // it is a bucket's website
	AccessPoint Reason = "access_point" // it is an access point's
	Query       Reason = "query"        // it has a signature, or another query
	Partition   Reason = "partition"    // the bucket is in another partition than the stack
	TooLong     Reason = "too_long"     // URL or link are too long
	NoConsole   Reason = "no_console"   // the partition's console has no address that is known here
)

func refuse(reason Reason, format string, args ...any) *LinkError {
	return &LinkError{Reason: reason, Detail: fmt.Sprintf(format, args...)}
}
