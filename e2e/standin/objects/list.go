package objects

import (
	"context"
	"encoding/base64"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/versity/versitygw/s3err"
	"github.com/versity/versitygw/s3response"
)

// page is a part of a list.
type page struct {
	objects   []s3response.Object
	prefixes  []types.CommonPrefix
	truncated bool
	last      string // key or common prefix
}

// list lists a bucket in the order of its keys' bytes, from after a key or common prefix on.
func (s *Store) list(name, prefix, delimiter, after string, limit int) (page, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var p page
	b, err := s.bucket(name)
	if err != nil || limit == 0 {
		return p, err
	}
	for _, key := range slices.Sorted(maps.Keys(b.objects)) {
		rest, ok := strings.CutPrefix(key, prefix)
		if !ok {
			continue
		}
		entry := key
		begin, _, common := strings.Cut(rest, delimiter)
		if common = common && delimiter != ""; common {
			entry = prefix + begin + delimiter
		}
		// A common prefix stands for all keys below it.
		if entry <= after || common && entry == p.last {
			continue
		}
		if len(p.objects)+len(p.prefixes) == limit {
			p.truncated = true
			break
		}
		p.last = entry
		if common {
			p.prefixes = append(p.prefixes, types.CommonPrefix{Prefix: new(entry)})
			continue
		}
		o := b.objects[key]
		p.objects = append(p.objects, s3response.Object{
			Key: new(key), Size: &o.size, ETag: &o.etag, LastModified: &o.modified, StorageClass: types.ObjectStorageClassStandard,
			ChecksumAlgorithm: []types.ChecksumAlgorithm{o.checksum.algorithm}, ChecksumType: o.checksum.kind,
		})
	}
	return p, nil
}

// ListObjectsV2 lists a bucket.
func (s *Store) ListObjectsV2(_ context.Context, in *s3.ListObjectsV2Input) (s3response.ListObjectsV2Result, error) {
	var out s3response.ListObjectsV2Result
	after := value(in.StartAfter)
	if token := value(in.ContinuationToken); token != "" {
		b, err := base64.URLEncoding.DecodeString(token)
		if err != nil {
			return out, s3err.GetAPIError(s3err.ErrInvalidRequest)
		}
		after = string(b)
	}
	p, err := s.list(*in.Bucket, value(in.Prefix), value(in.Delimiter), after, int(*in.MaxKeys))
	if err != nil {
		return out, err
	}
	out = s3response.ListObjectsV2Result{
		Name: in.Bucket, Prefix: given(in.Prefix), Delimiter: given(in.Delimiter), StartAfter: given(in.StartAfter), ContinuationToken: given(in.ContinuationToken),
		MaxKeys: in.MaxKeys, IsTruncated: &p.truncated, KeyCount: new(int32(len(p.objects) + len(p.prefixes))),
		Contents: p.objects, CommonPrefixes: p.prefixes,
	}
	if p.truncated {
		out.NextContinuationToken = new(base64.URLEncoding.EncodeToString([]byte(p.last)))
	}
	return out, nil
}

// ListObjects lists a bucket in the older way.
func (s *Store) ListObjects(_ context.Context, in *s3.ListObjectsInput) (s3response.ListObjectsResult, error) {
	p, err := s.list(*in.Bucket, value(in.Prefix), value(in.Delimiter), value(in.Marker), int(*in.MaxKeys))
	if err != nil {
		return s3response.ListObjectsResult{}, err
	}
	out := s3response.ListObjectsResult{
		Name: in.Bucket, Prefix: given(in.Prefix), Delimiter: given(in.Delimiter), Marker: given(in.Marker),
		MaxKeys: in.MaxKeys, IsTruncated: &p.truncated, Contents: p.objects, CommonPrefixes: p.prefixes,
	}
	if p.truncated {
		out.NextMarker = &p.last
	}
	return out, nil
}

func value(p *string) string {
	if p == nil {
		return ""
	}
	return *p
}

// given returns nil for an empty text, which then is left out of the answer.
func given(p *string) *string {
	if value(p) == "" {
		return nil
	}
	return p
}
