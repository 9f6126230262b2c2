package credentials

// Source is one configured way to get credentials. Implementations are safe for concurrent use
// once they are provisioned and, if they are Chained, have their resolver.
type Source interface {
	// Identity returns the principal that a request is to be signed as. It does no I/O.
	// expand may be nil where there is no request; a value that needs one is then an error.
	Identity(expand Expander) (Identity, error)

	// PerRequest says whether Identity depends on the request. If it does not, every call
	// returns the same identity.
	PerRequest() bool
}

// Expander replaces the placeholders in a configured value with what they stand for in one request.
// A placeholder that is unknown or empty is an error. What it returns is data and is never expanded
// again.
type Expander func(value string) (string, error)

// Resolver finds the source that a name stands for: a name that the configuration gave to
// credentials, or a source that needs no configuration.
type Resolver interface {
	Source(name string) (Source, error)
}

// Chained is implemented by sources whose fetch needs the credentials of another one. Whoever
// loads such a source calls SetResolver once, before first use, and makes sure that following
// FromName from source to source comes to an end.
type Chained interface {
	// FromName is the name of the source that this one stands on.
	FromName() string

	// SetResolver looks that source up and keeps it; an error says which name is unknown.
	SetResolver(r Resolver) error
}

// Fields is implemented by sources with values that may hold placeholders, so that whoever loads
// one can judge what a client may influence.
type Fields interface {
	// IdentityFields returns the values as they are configured, placeholders unresolved,
	// secrets left out.
	IdentityFields() []Field
}

// Field is one configured value of a source.
type Field struct {
	// Name is the option's name, as written in JSON, for example "role_arn" or "tags.team".
	Name string

	// Value is what was configured.
	Value string
}
