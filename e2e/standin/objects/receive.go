package objects

import (
	"crypto/md5" //nolint:gosec // An ETag is an MD5.
	"errors"
	"io"
	"os"
	"reflect"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/versity/versitygw/backend"
	"github.com/versity/versitygw/s3api/middlewares"
	"github.com/versity/versitygw/s3api/utils"
	"github.com/versity/versitygw/s3err"
)

// checksum is an additional checksum of an object.
// See https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html.
type checksum struct {
	algorithm types.ChecksumAlgorithm
	kind      types.ChecksumType
	value     string // in base64, as it stands in a header
}

// algorithms are those that a request can bring a checksum of.
var algorithms = types.ChecksumAlgorithm("").Values()

// tell writes the checksum into the field of an output that is for its algorithm.
func (c *checksum) tell(out any) {
	if c.value == "" {
		return
	}
	v := reflect.ValueOf(out).Elem()
	v.FieldByName("Checksum" + string(c.algorithm)).Set(reflect.ValueOf(new(c.value)))
	if kind := v.FieldByName("ChecksumType"); kind.IsValid() {
		switch kind.Interface().(type) {
		case types.ChecksumType:
			kind.Set(reflect.ValueOf(c.kind))
		case *types.ChecksumType:
			kind.Set(reflect.ValueOf(new(c.kind)))
		}
	}
}

// asked returns the checksum that an input brings in a header, or the algorithm that is used without one.
func asked(in any) checksum {
	c := checksum{algorithm: types.ChecksumAlgorithmCrc64nvme, kind: types.ChecksumTypeFullObject}
	if in == nil {
		return c
	}
	v := reflect.ValueOf(in).Elem()
	if a, ok := reflect.TypeAssert[types.ChecksumAlgorithm](v.FieldByName("ChecksumAlgorithm")); ok && a != "" {
		c.algorithm = types.ChecksumAlgorithm(strings.ToUpper(strings.Clone(string(a))))
	}
	for _, a := range algorithms {
		if p, ok := reflect.TypeAssert[*string](v.FieldByName("Checksum" + string(a))); ok && p != nil && *p != "" {
			c.algorithm, c.value = a, strings.Clone(*p)
		}
	}
	return c
}

// receive writes a body into a file. It fails if the body is shorter or longer than was said, or has another checksum
// than in says, which is the input of PutObject or UploadPart. What the body's reader finds (another hash than the
// signed one, a broken chunk) is versitygw's to tell.
func (s *Store) receive(body io.Reader, length *int64, in any) (*object, error) {
	o := &object{file: s.newFile(), checksum: asked(in)}
	f, err := os.OpenFile(o.file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(o.fill(f, body, length), f.Close()); err != nil {
		o.discard()
		if known, ok := errors.AsType[s3err.S3Error](err); ok {
			return nil, known
		}
		return nil, err
	}
	o.modified = time.Now()
	return o, nil
}

func (o *object) fill(f io.Writer, body io.Reader, length *int64) error {
	if body == nil {
		body = strings.NewReader("")
	}
	etag := md5.New() //nolint:gosec // An ETag is an MD5.
	r := io.TeeReader(body, etag)
	trailer, inTrailer := body.(middlewares.ChecksumReader)
	inTrailer = inTrailer && trailer.Algorithm() != ""
	var sum interface{ Sum() string }
	if !inTrailer {
		h, err := utils.NewHashReader(r, o.checksum.value, utils.HashType(strings.ToLower(string(o.checksum.algorithm))))
		if err != nil {
			return err
		}
		r, sum = h, h
	}
	var err error
	if o.size, err = io.Copy(f, r); err != nil {
		return err
	}
	if length != nil && o.size != *length {
		return s3err.GetAPIError(s3err.ErrIncompleteBody)
	}
	if inTrailer {
		o.checksum.algorithm, o.checksum.value = types.ChecksumAlgorithm(strings.ToUpper(strings.Clone(trailer.Algorithm()))), strings.Clone(trailer.Checksum())
	} else {
		o.checksum.value = sum.Sum()
	}
	o.etag = backend.GenerateEtag(etag)
	return nil
}
