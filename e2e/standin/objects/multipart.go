package objects

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/versity/versitygw/backend"
	"github.com/versity/versitygw/s3api/utils"
	"github.com/versity/versitygw/s3err"
	"github.com/versity/versitygw/s3response"
)

// upload is a multipart upload that has begun.
type upload struct {
	bucket, key string
	properties  properties
	checksum    checksum
	parts       map[int32]*object
}

// minPart is the size in bytes that all parts but the last have at least.
// See https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html.
const minPart = 5 << 20

// CreateMultipartUpload begins an upload.
func (s *Store) CreateMultipartUpload(_ context.Context, in s3response.CreateMultipartUploadInput) (s3response.InitiateMultipartUploadResult, error) {
	var out s3response.InitiateMultipartUploadResult
	if err := s.room(*in.Bucket, *in.Key); err != nil {
		return out, err
	}
	u := &upload{
		bucket: strings.Clone(*in.Bucket), key: strings.Clone(*in.Key), parts: make(map[int32]*object),
		checksum: checksum{algorithm: types.ChecksumAlgorithm(strings.Clone(string(in.ChecksumAlgorithm))), kind: types.ChecksumType(strings.Clone(string(in.ChecksumType)))},
		properties: properties{
			in.ContentType, in.ContentEncoding, in.ContentLanguage, in.ContentDisposition, in.CacheControl, in.Expires, in.WebsiteRedirectLocation, in.Metadata,
		}.clone(),
	}
	if u.checksum.algorithm == "" {
		u.checksum = checksum{algorithm: types.ChecksumAlgorithmCrc64nvme, kind: types.ChecksumTypeFullObject}
	}
	id := rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.uploads[id] = u
	return s3response.InitiateMultipartUploadResult{Bucket: u.bucket, Key: u.key, UploadId: id}, nil
}

// UploadPart keeps a part.
func (s *Store) UploadPart(_ context.Context, in *s3.UploadPartInput) (*s3.UploadPartOutput, error) {
	u, err := s.upload(in.UploadId, in.Bucket, in.Key)
	if err != nil {
		return nil, err
	}
	part, err := s.receive(in.Body, in.ContentLength, in)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if old, ok := u.parts[*in.PartNumber]; ok {
		old.discard()
	}
	u.parts[*in.PartNumber] = part
	out := &s3.UploadPartOutput{ETag: &part.etag}
	part.checksum.tell(out)
	return out, nil
}

// CompleteMultipartUpload makes one object of the parts that are named.
func (s *Store) CompleteMultipartUpload(_ context.Context, in *s3.CompleteMultipartUploadInput) (s3response.CompleteMultipartUploadResult, string, error) {
	var out s3response.CompleteMultipartUploadResult
	u, err := s.upload(in.UploadId, in.Bucket, in.Key)
	if err != nil {
		return out, "", err
	}
	if in.MultipartUpload == nil || len(in.MultipartUpload.Parts) == 0 {
		return out, "", s3err.GetAPIError(s3err.ErrMalformedXML)
	}
	parts, err := s.chosen(u, *in.UploadId, in.MultipartUpload.Parts)
	if err != nil {
		return out, "", err
	}
	o, err := s.join(u, parts)
	if err != nil {
		return out, "", err
	}
	if o.etag, err = backend.ComputeMultipartETagFromPartETags(in.MultipartUpload.Parts); err == nil {
		o.etag = `"` + strings.Trim(o.etag, `"`) + `"`
		err = s.publish(u.bucket, u.key, o, in.IfMatch, in.IfNoneMatch)
	}
	if err != nil {
		o.discard()
		return out, "", err
	}
	s.forget(*in.UploadId)
	out = s3response.CompleteMultipartUploadResult{Bucket: &u.bucket, Key: &u.key, ETag: &o.etag, Location: new("/" + u.bucket + "/" + u.key)}
	o.checksum.tell(&out)
	return out, "", nil
}

// chosen returns the parts that a completion names, in their order.
func (s *Store) chosen(u *upload, id string, named []types.CompletedPart) ([]*object, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var parts []*object
	for i, named := range named {
		if named.PartNumber == nil || named.ETag == nil {
			return nil, s3err.GetAPIError(s3err.ErrMalformedXML)
		}
		part, ok := u.parts[*named.PartNumber]
		switch {
		case i > 0 && *named.PartNumber <= parts[i-1].number(u):
			return nil, s3err.GetAPIError(s3err.ErrInvalidPartOrder)
		case !ok || !backend.AreEtagsSame(part.etag, *named.ETag):
			return nil, s3err.GetInvalidPartErr(strings.Clone(id), *named.PartNumber, strings.Clone(*named.ETag))
		case i > 0 && parts[i-1].size < minPart:
			return nil, s3err.GetEntityTooSmallErr(parts[i-1].size, minPart)
		}
		parts = append(parts, part)
	}
	return parts, nil
}

// number returns the number that a part has in its upload.
func (o *object) number(u *upload) int32 {
	for n, part := range u.parts {
		if part == o {
			return n
		}
	}
	return 0
}

// join writes parts into one file, and works out their checksum: of all bytes, or of the checksums of the parts.
func (s *Store) join(u *upload, parts []*object) (*object, error) {
	var readers []io.Reader
	for _, part := range parts {
		f, err := os.Open(part.file)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		readers = append(readers, f)
	}
	whole := &s3.UploadPartInput{}
	if u.checksum.kind == types.ChecksumTypeFullObject {
		whole.ChecksumAlgorithm = u.checksum.algorithm
	}
	o, err := s.receive(io.MultiReader(readers...), nil, whole)
	if err != nil {
		return nil, err
	}
	o.properties, o.modified = u.properties, time.Now()
	if u.checksum.kind == types.ChecksumTypeComposite {
		o.checksum = checksum{algorithm: u.checksum.algorithm, kind: u.checksum.kind}
		sums, err := utils.NewCompositeChecksumReader(utils.HashType(strings.ToLower(string(u.checksum.algorithm))))
		for i := 0; err == nil && i < len(parts); i++ {
			err = sums.Process(parts[i].checksum.value)
		}
		if err != nil {
			o.discard()
			return nil, err
		}
		o.checksum.value = fmt.Sprintf("%s-%d", sums.Sum(), len(parts))
	}
	return o, nil
}

// AbortMultipartUpload ends an upload without an object.
func (s *Store) AbortMultipartUpload(_ context.Context, in *s3.AbortMultipartUploadInput) error {
	if _, err := s.upload(in.UploadId, in.Bucket, in.Key); err != nil {
		return err
	}
	s.forget(*in.UploadId)
	return nil
}

func (s *Store) upload(id, bucket, key *string) (*upload, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u, ok := s.uploads[*id]
	if !ok || u.bucket != *bucket || u.key != *key {
		return nil, s3err.GetNoSuchUploadErr(strings.Clone(*id))
	}
	return u, nil
}

// forget removes an upload and its parts.
func (s *Store) forget(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, part := range s.uploads[id].parts {
		part.discard()
	}
	delete(s.uploads, id)
}
