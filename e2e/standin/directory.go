package standin

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// User is an IAM user with one access key.
type User struct {
	// ARN names the user, as in arn:aws:iam::111122223333:user/broker.
	ARN string

	// AccessKeyID and SecretAccessKey are its key. Default: made up.
	AccessKeyID, SecretAccessKey string

	// S3 lets the user do everything in S3. Without it, S3 answers AccessDenied.
	S3 bool

	// MayAssume are the ARNs of the roles that the user's own policy lets it assume; * stands for any characters.
	// Default: all roles.
	MayAssume []string

	// MFA is the user's device. Default: none.
	MFA MFADevice
}

// Role is an IAM role.
type Role struct {
	// ARN names the role, as in arn:aws:iam::123456789012:role/Reader.
	ARN string

	// TrustPolicy is the JSON document that says who may assume the role. What the stand-in does not understand of it
	// is refused when the role is made.
	TrustPolicy string

	// MaxSessionDuration is what the role's owner allows, from 1 h (the default) to 12 h.
	MaxSessionDuration time.Duration

	// Lifetime is how long sessions really last, whatever was asked for. Default: as long as was asked for, which is 15
	// minutes at least, and no test can wait for that.
	Lifetime time.Duration

	// NoS3 makes S3 answer AccessDenied to the role's sessions. Without it they may do everything in S3.
	NoS3 bool
}

// Session is what an AssumeRole gave, but for the secrets.
type Session struct {
	// AccessKeyID begins with ASIA.
	AccessKeyID string
	// RoleARN is the role, ARN the session itself: arn:aws:sts::ACCOUNT:assumed-role/ROLE/NAME.
	RoleARN, ARN string
	// Name is the RoleSessionName.
	Name string
	// Issued and Expires bound the time in which the session works.
	Issued, Expires time.Time
	// Tags are the session's tags, those that were inherited included.
	Tags map[string]string
	// SourceIdentity is what was set, or inherited.
	SourceIdentity string
	// By is the ARN of who assumed the role.
	By string
	// Policy is the session policy, PolicyARNs are the managed ones that limit the session likewise.
	Policy     string
	PolicyARNs []string
	// MFA tells whether it was begun with a code of the caller's device.
	MFA bool
	// Revoked tells whether RevokeSessions ended it.
	Revoked bool
}

// directory knows users, roles and sessions.
type directory struct {
	mu       sync.Mutex
	users    map[string]User // by access key ID
	roles    map[string]*role
	sessions map[string]*session // by access key ID
	policies map[string]*permissions
	mfaSteps map[string]uint64 // by serial number, the last step whose code was used
}

type role struct {
	Role
	trust *policy
}

type session struct {
	Session
	secret, token string
	noS3          bool
	transitive    []string // the keys of the tags that further sessions inherit
	limits        []*permissions
}

func newDirectory() *directory {
	return &directory{
		users: make(map[string]User), roles: make(map[string]*role), sessions: make(map[string]*session),
		policies: make(map[string]*permissions), mfaSteps: make(map[string]uint64),
	}
}

var (
	userARN = regexp.MustCompile(`^arn:(aws[a-z-]*):iam::(\d{12}):user/([\x21-\x7e]+/)?[\w+=,.@-]{1,64}$`)
	roleARN = regexp.MustCompile(`^arn:(aws[a-z-]*):iam::(\d{12}):role/([\x21-\x7e]+/)*([\w+=,.@-]{1,64})$`)

	managedPolicyARN = regexp.MustCompile(`^arn:aws[a-z-]*:iam::(aws|\d{12}):policy/([\x21-\x7e]+/)*[\w+=,.@-]{1,128}$`)
	mfaARN           = regexp.MustCompile(`^arn:aws[a-z-]*:iam::\d{12}:mfa/[\w+=/,.@-]+$`)
)

// AddUser adds a user, and returns it with its access key.
func (s *Standin) AddUser(u User) (User, error) {
	if !userARN.MatchString(u.ARN) {
		return u, fmt.Errorf("user ARN %q: write arn:aws:iam::ACCOUNT:user/NAME", u.ARN)
	}
	if u.AccessKeyID == "" {
		u.AccessKeyID = newKeyID("AKIA")
	}
	if u.SecretAccessKey == "" {
		u.SecretAccessKey = newSecret()
	}
	if u.MFA != (MFADevice{}) {
		if !mfaARN.MatchString(u.MFA.Serial) {
			return u, fmt.Errorf("MFA device %q: write arn:aws:iam::ACCOUNT:mfa/NAME", u.MFA.Serial)
		}
		if _, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.ToUpper(u.MFA.Secret)); err != nil || u.MFA.Secret == "" {
			return u, fmt.Errorf("the secret of the MFA device %s is no Base32", u.MFA.Serial)
		}
	}
	d := s.directory
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, ok := d.users[u.AccessKeyID]; ok {
		return u, fmt.Errorf("there is an access key %s already", u.AccessKeyID)
	}
	d.users[u.AccessKeyID] = u
	return u, nil
}

// PutRole makes a role, or replaces it. Its sessions so far remain.
func (s *Standin) PutRole(r Role) error {
	if !roleARN.MatchString(r.ARN) {
		return fmt.Errorf("role ARN %q: write arn:aws:iam::ACCOUNT:role/NAME", r.ARN)
	}
	if r.MaxSessionDuration == 0 {
		r.MaxSessionDuration = time.Hour
	}
	if r.MaxSessionDuration < time.Hour || r.MaxSessionDuration > 12*time.Hour {
		return fmt.Errorf("role %s: a maximum session duration of %v: write 1h to 12h", r.ARN, r.MaxSessionDuration)
	}
	trust, err := parsePolicy(r.TrustPolicy)
	if err != nil {
		return fmt.Errorf("role %s: trust policy: %w", r.ARN, err)
	}
	d := s.directory
	d.mu.Lock()
	defer d.mu.Unlock()
	d.roles[r.ARN] = &role{Role: r, trust: trust}
	return nil
}

// PutPolicy makes a managed policy, or replaces it: arn:aws:iam::ACCOUNT:policy/NAME, or with aws in place of the account,
// one of AWS's own. Sessions so far keep the old one.
func (s *Standin) PutPolicy(arn, document string) error {
	if !managedPolicyARN.MatchString(arn) {
		return fmt.Errorf("policy ARN %q: write arn:aws:iam::ACCOUNT:policy/NAME", arn)
	}
	p, err := parsePermissions(document)
	if err != nil {
		return fmt.Errorf("policy %s: %w", arn, err)
	}
	d := s.directory
	d.mu.Lock()
	defer d.mu.Unlock()
	d.policies[arn] = p
	return nil
}

func (d *directory) managedPolicy(arn string) (*permissions, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	p, ok := d.policies[arn]
	return p, ok
}

// Sessions returns a role's sessions so far, the oldest first.
func (s *Standin) Sessions(roleARN string) []Session {
	var found []Session
	s.directory.each(roleARN, func(x *session) {
		c := x.Session
		c.Tags, c.PolicyARNs = maps.Clone(c.Tags), slices.Clone(c.PolicyARNs)
		found = append(found, c)
	})
	slices.SortFunc(found, func(a, b Session) int { return a.Issued.Compare(b.Issued) })
	return found
}

// ExpireSessions has all sessions that a role has so far expire at once, before the time that their holders were told.
// S3 then answers ExpiredToken.
func (s *Standin) ExpireSessions(roleARN string) {
	now := time.Now()
	s.directory.each(roleARN, func(x *session) {
		if x.Expires.After(now) {
			x.Expires = now
		}
	})
}

// RevokeSessions does what the button "Revoke active sessions" of the IAM console does: a policy denies everything to
// the sessions that a role has so far. Both S3 and AssumeRole then answer AccessDenied; GetCallerIdentity, which needs no
// permission, still answers.
// See https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_revoke-sessions.html.
func (s *Standin) RevokeSessions(roleARN string) {
	s.directory.each(roleARN, func(x *session) { x.Revoked = true })
}

func (d *directory) each(roleARN string, f func(*session)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, x := range d.sessions {
		if x.RoleARN == roleARN {
			f(x)
		}
	}
}

// principal is who signed a request.
type principal struct {
	arn       string // of a user, or of a session
	roleARN   string // of a session's role, or ""
	userID    string
	account   string
	secret    string
	expires   time.Time // of a session
	revoked   bool
	s3        bool
	mayAssume []string
	mfa       MFADevice
	limits    []*permissions // of a session; nil if only its role's own policies limit it

	// What a session hands on when it assumes a further role.
	tags           map[string]string
	transitive     []string
	sourceIdentity string
}

// isSession tells whether the principal has temporary credentials.
func (p *principal) isSession() bool { return p.roleARN != "" }

// identityARN is what aws:PrincipalArn holds: of a session, the role.
func (p *principal) identityARN() string {
	if p.isSession() {
		return p.roleARN
	}
	return p.arn
}

// context returns the values of the condition keys and policy variables that say who somebody is.
func (p *principal) context() policyContext {
	ctx := policyContext{"aws:principalarn": {p.identityARN()}, "aws:principalaccount": {p.account}, "aws:userid": {p.userID}}
	for key, value := range p.tags {
		ctx["aws:principaltag/"+strings.ToLower(key)] = []string{value}
	}
	return ctx
}

// Why credentials are none.
type unknownKeyError struct{}

func (unknownKeyError) Error() string { return "the access key ID is unknown" }

type wrongTokenError struct{}

func (wrongTokenError) Error() string {
	return "the session token is not the one of the access key ID"
}

type expiredError struct{}

func (expiredError) Error() string { return "the session has expired" }

// lookUp returns whose an access key ID is. A session's token has to come with it, and nothing with a user's. With an
// expiredError it returns the principal as well.
func (d *directory) lookUp(keyID, token string, now time.Time) (*principal, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if u, ok := d.users[keyID]; ok {
		if token != "" {
			return nil, wrongTokenError{}
		}
		return &principal{
			arn: u.ARN, userID: uniqueID("AIDA", u.ARN), account: accountOf(u.ARN),
			secret: u.SecretAccessKey, s3: u.S3, mayAssume: u.MayAssume, mfa: u.MFA,
		}, nil
	}
	x, ok := d.sessions[keyID]
	switch {
	case !ok || token == "":
		// AWS does not know a session's key that comes without its token.
		return nil, unknownKeyError{}
	case token != x.token:
		return nil, wrongTokenError{}
	}
	p := &principal{
		arn: x.ARN, roleARN: x.RoleARN, userID: uniqueID("AROA", x.RoleARN) + ":" + x.Name, account: accountOf(x.RoleARN),
		secret: x.secret, expires: x.Expires, revoked: x.Revoked, s3: !x.noS3, limits: x.limits,
		tags: maps.Clone(x.Tags), transitive: slices.Clone(x.transitive), sourceIdentity: x.SourceIdentity,
	}
	if !now.Before(x.Expires) {
		return p, expiredError{}
	}
	return p, nil
}

// role returns a copy of a role.
func (d *directory) role(arn string) (role, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	r, ok := d.roles[arn]
	if !ok {
		return role{}, false
	}
	return *r, true
}

// issue begins a session: it makes up its key and keeps it.
func (d *directory) issue(x session) *session {
	x.AccessKeyID, x.secret, x.token = newKeyID("ASIA"), newSecret(), newToken()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sessions[x.AccessKeyID] = &x
	c := x
	return &c
}

// accountOf returns the account in an ARN of IAM.
func accountOf(arn string) string { return strings.Split(arn, ":")[4] }

// roleName returns the last element of a role's ARN.
func roleName(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }

// sessionARN returns the ARN of a session, which has the role's name without its path.
func sessionARN(roleARN, name string) string {
	return fmt.Sprintf("arn:%s:sts::%s:assumed-role/%s/%s", strings.Split(roleARN, ":")[1], accountOf(roleARN), roleName(roleARN), name)
}

// The forms of IAM's identifiers:
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html.

func newKeyID(prefix string) string { return prefix + base32.StdEncoding.EncodeToString(random(10)) }

func newSecret() string { return base64.StdEncoding.EncodeToString(random(30)) }

// newToken makes up a session token of usual length, with slashes and plus signs in it.
func newToken() string { return "IQoJb3JpZ2luX2Vj" + base64.StdEncoding.EncodeToString(random(481)) }

// uniqueID returns the same identifier each time for the same ARN.
func uniqueID(prefix, arn string) string {
	sum := sha256.Sum256([]byte(arn))
	return prefix + base32.StdEncoding.EncodeToString(sum[:])[:17]
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // It never fails.
	return b
}
