// Package objects keeps the stand-in's S3 objects by the bytes of their keys, as S3 does: //, dot segments and NUL are
// part of a key, and a key may begin with another one and a slash. It is a back end of versitygw, whose own ones keep
// objects in directories, where none of this is so: a proxy that changes a key on the way would go unnoticed there.
// What versitygw itself refuses, whatever keeps the objects, are keys whose dot segments lead out of the bucket.
//
// versitygw gives its back end texts that are part of the request's buffer. What is kept has to be cloned.
package objects

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/versity/versitygw/backend"
	"github.com/versity/versitygw/s3err"
	"github.com/versity/versitygw/s3response"
)

// Store keeps the data of objects in files of a directory, and all else in memory.
type Store struct {
	// What is not here answers NotImplemented.
	backend.BackendUnsupported

	dir string

	mu      sync.Mutex
	buckets map[string]*bucket
	uploads map[string]*upload
	files   int // made so far
}

var _ backend.Backend = (*Store)(nil)

type bucket struct {
	name    string
	created time.Time
	acl     []byte
	objects map[string]*object
}

// object is never changed once it is in a bucket.
type object struct {
	file       string
	size       int64
	modified   time.Time
	etag       string
	checksum   checksum
	properties properties
}

// properties are what comes with an object in headers.
type properties struct {
	contentType, encoding, language, disposition, cacheControl, expires, redirect *string
	metadata                                                                      map[string]string
}

// New makes a store in an empty directory.
func New(dir string) *Store {
	return &Store{dir: dir, buckets: make(map[string]*bucket), uploads: make(map[string]*upload)}
}

// String names the store in messages.
func (s *Store) String() string { return "stand-in" }

// Make makes an empty bucket whose owner is told by an ACL of versitygw's.
func (s *Store) Make(name string, acl []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.buckets[name]; ok {
		return s3err.GetBucketErr(s3err.ErrBucketAlreadyOwnedByYou, name)
	}
	name = strings.Clone(name) // It may be part of a request's buffer, which is used again.
	s.buckets[name] = &bucket{name: name, created: time.Now(), acl: slices.Clone(acl), objects: make(map[string]*object)}
	return nil
}

// CreateBucket makes an empty bucket.
func (s *Store) CreateBucket(_ context.Context, in *s3.CreateBucketInput, acl []byte) error {
	return s.Make(*in.Bucket, acl)
}

// DeleteBucket removes a bucket that is empty.
func (s *Store) DeleteBucket(_ context.Context, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.bucket(name)
	if err != nil {
		return err
	}
	if len(b.objects) > 0 {
		return s3err.GetBucketErr(s3err.ErrBucketNotEmpty, name)
	}
	delete(s.buckets, name)
	return nil
}

// HeadBucket tells whether there is a bucket.
func (s *Store) HeadBucket(_ context.Context, in *s3.HeadBucketInput) (*s3.HeadBucketOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := s.bucket(*in.Bucket)
	return &s3.HeadBucketOutput{}, err
}

// ListBuckets lists all buckets, by name.
func (s *Store) ListBuckets(_ context.Context, in s3response.ListBucketsInput) (s3response.ListAllMyBucketsResult, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s3response.ListAllMyBucketsResult{Owner: s3response.CanonicalUser{ID: strings.Clone(in.Owner)}, Prefix: strings.Clone(in.Prefix)}
	for _, name := range slices.Sorted(maps.Keys(s.buckets)) {
		if strings.HasPrefix(name, in.Prefix) {
			out.Buckets.Bucket = append(out.Buckets.Bucket, s3response.ListAllMyBucketsEntry{Name: name, CreationDate: s.buckets[name].created})
		}
	}
	return out, nil
}

// GetBucketAcl returns the ACL that the bucket was made with.
func (s *Store) GetBucketAcl(_ context.Context, in *s3.GetBucketAclInput) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.bucket(*in.Bucket)
	if err != nil {
		return nil, err
	}
	return b.acl, nil
}

// GetBucketPolicy answers that there is none, as the following do of theirs.
func (s *Store) GetBucketPolicy(_ context.Context, name string) ([]byte, error) {
	return nil, s.without(name, s3err.ErrNoSuchBucketPolicy)
}

// GetBucketCors answers that there is none.
func (s *Store) GetBucketCors(_ context.Context, name string) ([]byte, error) {
	return nil, s.without(name, s3err.ErrNoSuchCORSConfiguration)
}

// GetObjectLockConfiguration answers that there is none.
func (s *Store) GetObjectLockConfiguration(_ context.Context, name string) ([]byte, error) {
	return nil, s.without(name, s3err.ErrObjectLockConfigurationNotFound)
}

// GetBucketVersioning answers that there is none.
func (s *Store) GetBucketVersioning(_ context.Context, name string) (s3response.GetBucketVersioningOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := s.bucket(name)
	return s3response.GetBucketVersioningOutput{}, err
}

// without returns the error that says that a bucket has no such thing, or that there is no such bucket.
func (s *Store) without(name string, code s3err.ErrorCode) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.bucket(name); err != nil {
		return err
	}
	return s3err.GetBucketErr(code, name)
}

// bucket finds a bucket. The lock must be held.
func (s *Store) bucket(name string) (*bucket, error) {
	b, ok := s.buckets[name]
	if !ok {
		return nil, s3err.GetBucketErr(s3err.ErrNoSuchBucket, strings.Clone(name))
	}
	return b, nil
}

// PutObject keeps an object once all of it has arrived.
func (s *Store) PutObject(_ context.Context, in s3response.PutObjectInput) (s3response.PutObjectOutput, error) {
	var out s3response.PutObjectOutput
	if err := s.room(*in.Bucket, *in.Key); err != nil {
		return out, err
	}
	o, err := s.receive(in.Body, in.ContentLength, &in)
	if err != nil {
		return out, err
	}
	o.properties = properties{
		in.ContentType, in.ContentEncoding, in.ContentLanguage, in.ContentDisposition, in.CacheControl, in.Expires, in.WebsiteRedirectLocation, in.Metadata,
	}.clone()
	if err := s.publish(*in.Bucket, *in.Key, o, in.IfMatch, in.IfNoneMatch); err != nil {
		o.discard()
		return out, err
	}
	out.ETag, out.Size = o.etag, &o.size
	o.checksum.tell(&out)
	return out, nil
}

// room tells why a key could not be put: there is no such bucket, or the key is too long.
func (s *Store) room(bucket, key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.bucket(bucket); err != nil {
		return err
	}
	if len(key) > 1024 {
		return s3err.GetKeyTooLongErr(int64(len(key)), 1024)
	}
	return nil
}

// publish puts an object into a bucket, in place of the one with the same key.
func (s *Store) publish(bucket, key string, o *object, ifMatch, ifNoneMatch *string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.bucket(bucket)
	if err != nil {
		return err
	}
	old, exists := b.objects[key]
	etag := ""
	if exists {
		etag = old.etag
	}
	if err := backend.EvaluateObjectPutPreconditions(etag, ifMatch, ifNoneMatch, exists); err != nil {
		return err
	}
	if exists {
		old.discard()
	}
	b.objects[strings.Clone(key)] = o
	return nil
}

// discard removes an object's data. Those who read it go on reading. What could not be removed goes with the store's
// directory.
func (o *object) discard() { _ = os.Remove(o.file) }

// DeleteObject removes an object. It is no error if there is none.
func (s *Store) DeleteObject(_ context.Context, in *s3.DeleteObjectInput) (*s3.DeleteObjectOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.bucket(*in.Bucket)
	if err != nil {
		return nil, err
	}
	if o, ok := b.objects[*in.Key]; ok {
		delete(b.objects, *in.Key)
		o.discard()
	}
	return &s3.DeleteObjectOutput{}, nil
}

// DeleteObjects removes objects.
func (s *Store) DeleteObjects(ctx context.Context, in *s3.DeleteObjectsInput) (s3response.DeleteResult, error) {
	var out s3response.DeleteResult
	for _, id := range in.Delete.Objects {
		if _, err := s.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: in.Bucket, Key: id.Key}); err != nil {
			return out, err
		}
		out.Deleted = append(out.Deleted, types.DeletedObject{Key: id.Key})
	}
	return out, nil
}

// CopyObject copies an object, with its properties or with new ones.
func (s *Store) CopyObject(_ context.Context, in s3response.CopyObjectInput) (s3response.CopyObjectOutput, error) {
	var out s3response.CopyObjectOutput
	fromBucket, fromKey, _, err := backend.ParseCopySource(*in.CopySource)
	if err != nil {
		return out, err
	}
	from, f, err := s.open(fromBucket, fromKey)
	if err != nil {
		return out, err
	}
	defer f.Close()
	if err := s.room(*in.Bucket, *in.Key); err != nil {
		return out, err
	}
	o, err := s.receive(f, nil, nil)
	if err != nil {
		return out, err
	}
	o.properties = from.properties
	if in.MetadataDirective == types.MetadataDirectiveReplace {
		o.properties = properties{
			in.ContentType, in.ContentEncoding, in.ContentLanguage, in.ContentDisposition, in.CacheControl, in.Expires, in.WebsiteRedirectLocation, in.Metadata,
		}.clone()
	}
	if err := s.publish(*in.Bucket, *in.Key, o, nil, nil); err != nil {
		o.discard()
		return out, err
	}
	out.CopyObjectResult = &s3response.CopyObjectResult{ETag: &o.etag, LastModified: &o.modified}
	return out, nil
}

// newFile returns the name of a file that is not there yet.
func (s *Store) newFile() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.files++
	return filepath.Join(s.dir, strconv.Itoa(s.files))
}

// clone copies what may be part of a request's buffer, which is used again.
func (p properties) clone() properties {
	for _, text := range []**string{&p.contentType, &p.encoding, &p.language, &p.disposition, &p.cacheControl, &p.expires, &p.redirect} {
		if *text != nil {
			*text = new(strings.Clone(**text))
		}
	}
	metadata := make(map[string]string, len(p.metadata))
	for k, v := range p.metadata {
		metadata[strings.Clone(k)] = strings.Clone(v)
	}
	p.metadata = metadata
	return p
}
