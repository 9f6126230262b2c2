package stshelper

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts"
)

// maxRegions is how many regions one key may use if Regions does not say which: more than AWS has, and
// few enough to keep connections to each.
const maxRegions = 64

// regionSet holds the regions of one key in which AWS answered. Others don't count, so that a key can't
// use up its regions with names of none.
type regionSet struct {
	mu   sync.Mutex
	seen map[string]bool
}

// admits says whether a region is in the set or may still come in.
func (s *regionSet) admits(region string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen[region] || len(s.seen) < maxRegions
}

// answered notes that AWS answered in a region.
func (s *regionSet) answered(region string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen == nil {
		s.seen = make(map[string]bool)
	}
	s.seen[region] = true
}

// region returns whose STS is called: the request's region if it may choose one, or else the
// configured one, or "" to leave it to the client of STS.
func (h *Handler) region(k *key, q question) (string, *failure) {
	switch {
	case q.region == "" || h.opts.IgnoreRegion:
		// The configured region may be of another partition than the role.
		if h.opts.Region != "" && h.checkPartition(q.roleARN, h.opts.Region) == nil {
			return h.opts.Region, nil
		}
		return "", nil
	case len(h.opts.Regions) > 0 && !slices.Contains(h.opts.Regions, q.region):
		return "", notPermitted("region", "region %s is not among those that may be asked for", q.region)
	case len(h.opts.Regions) == 0 && !k.regions.admits(q.region):
		return "", notPermitted("region", "key %s has asked for more than %d regions; the operator can name those that it may ask for", k.Name, maxRegions)
	}
	return q.region, nil
}

// asked notes the region that a request chose if AWS answered there, be it with a refusal.
func (h *Handler) asked(k *key, q question, err error) {
	if q.region == "" || h.opts.IgnoreRegion || len(h.opts.Regions) > 0 {
		return
	}
	if se, ok := errors.AsType[*sts.Error](err); err == nil || ok && se.Code != "" && !se.OtherRegion() {
		k.regions.answered(q.region)
	}
}

// explainRegion is explain, but where the STS that is called serves another region than the request chose:
// then the request is wrong, and not the broker.
func (h *Handler) explainRegion(q question, err error) *failure {
	f := explain(err)
	se, ok := errors.AsType[*sts.Error](err)
	if !ok || !se.OtherRegion() || q.region == "" || h.opts.IgnoreRegion {
		return f
	}
	f.status, f.field, f.outcome = http.StatusBadRequest, "region", Denied
	f.message = fmt.Sprintf("the STS that is called here serves another region than %s: ask for that one, or for none", q.region)
	return f
}
