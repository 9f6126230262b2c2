package objects

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/versity/versitygw/backend"
	"github.com/versity/versitygw/s3err"
)

// GetObject opens an object, or a range of it.
func (s *Store) GetObject(_ context.Context, in *s3.GetObjectInput) (*s3.GetObjectOutput, error) {
	o, f, err := s.open(*in.Bucket, *in.Key)
	if err != nil {
		return nil, err
	}
	out, err := o.get(f, in)
	if err != nil {
		f.Close()
		return nil, err
	}
	return out, nil
}

func (o *object) get(f *os.File, in *s3.GetObjectInput) (*s3.GetObjectOutput, error) {
	if err := backend.EvaluatePreconditions(o.etag, o.modified, backend.PreConditions{
		IfMatch: in.IfMatch, IfNoneMatch: in.IfNoneMatch, IfModSince: in.IfModifiedSince, IfUnmodeSince: in.IfUnmodifiedSince,
	}); err != nil {
		return nil, err
	}
	from, length, part, err := backend.ParseObjectRange(o.size, backend.GetStringFromPtr(in.Range))
	if err != nil {
		return nil, err
	}
	if _, err := f.Seek(from, io.SeekStart); err != nil {
		return nil, err
	}
	p := &o.properties
	out := &s3.GetObjectOutput{
		AcceptRanges: new("bytes"), ContentLength: &length, ETag: &o.etag, LastModified: &o.modified, StorageClass: types.StorageClassStandard,
		ContentType: p.contentType, ContentEncoding: p.encoding, ContentLanguage: p.language, ContentDisposition: p.disposition,
		CacheControl: p.cacheControl, ExpiresString: p.expires, WebsiteRedirectLocation: p.redirect, Metadata: p.metadata,
		Body: &section{io.LimitReader(f, length), f},
	}
	if part {
		out.ContentRange = new(fmt.Sprintf("bytes %d-%d/%d", from, from+length-1, o.size))
	}
	if in.ChecksumMode == types.ChecksumModeEnabled && !part {
		o.checksum.tell(out)
	}
	return out, nil
}

// section is a part of a file that closes it.
type section struct {
	io.Reader
	io.Closer
}

// HeadObject describes an object.
func (s *Store) HeadObject(_ context.Context, in *s3.HeadObjectInput) (*s3.HeadObjectOutput, error) {
	o, f, err := s.open(*in.Bucket, *in.Key)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	got, err := o.get(f, &s3.GetObjectInput{
		Range: in.Range, ChecksumMode: in.ChecksumMode,
		IfMatch: in.IfMatch, IfNoneMatch: in.IfNoneMatch, IfModifiedSince: in.IfModifiedSince, IfUnmodifiedSince: in.IfUnmodifiedSince,
	})
	if err != nil {
		return nil, err
	}
	out := &s3.HeadObjectOutput{
		AcceptRanges: got.AcceptRanges, ContentLength: got.ContentLength, ContentRange: got.ContentRange, ETag: got.ETag, LastModified: got.LastModified,
		StorageClass: got.StorageClass, ContentType: got.ContentType, ContentEncoding: got.ContentEncoding, ContentLanguage: got.ContentLanguage,
		ContentDisposition: got.ContentDisposition, CacheControl: got.CacheControl, ExpiresString: got.ExpiresString,
		WebsiteRedirectLocation: got.WebsiteRedirectLocation, Metadata: got.Metadata,
	}
	if in.ChecksumMode == types.ChecksumModeEnabled && got.ContentRange == nil {
		o.checksum.tell(out)
	}
	return out, nil
}

// open finds an object and opens its data.
func (s *Store) open(bucket, key string) (*object, *os.File, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.bucket(bucket)
	if err != nil {
		return nil, nil, err
	}
	o, ok := b.objects[key]
	if !ok {
		return nil, nil, s3err.GetAPIError(s3err.ErrNoSuchKey)
	}
	f, err := os.Open(o.file)
	return o, f, err
}
