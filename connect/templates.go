package connect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/cfn"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/internal/clip"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/internal/dial"
)

const (
	// templateWait bounds the fetch of a template.
	templateWait = 10 * time.Second

	// templateRetry is how long a failure to load one is remembered.
	templateRetry = 15 * time.Second
)

// loaded is a template as it was found. It is not changed any more.
type loaded struct {
	data   []byte
	parsed *cfn.Template
}

// templates reads templates, and keeps what it read. Only what the configuration names is read.
type templates struct {
	s *Service

	mu      sync.Mutex
	entries map[string]*templateEntry // by URL or file
}

// templateEntry is what is known of one URL or file.
type templateEntry struct {
	mu      sync.Mutex
	last    *loaded // the last that could be read
	err     error   // why the last attempt failed
	at      time.Time
	changed time.Time // of a file
	busy    bool      // it is being read anew in the background
}

func newTemplates(s *Service) *templates {
	return &templates{s: s, entries: make(map[string]*templateEntry)}
}

// load returns a template. One from a URL that was read before is read anew in the background when it is
// old, so that nobody waits; as long as that does not work, the old one is returned.
func (t *templates) load(ctx context.Context, of *Template) (*loaded, error) {
	if of.File != "" {
		return t.entry("file " + of.File).file(of.File)
	}
	e := t.entry("url " + of.URL)
	e.mu.Lock()
	defer e.mu.Unlock()
	age := t.s.now().Sub(e.at)
	switch {
	case e.last != nil:
		if (e.err == nil && age >= t.s.options.TemplateLife || e.err != nil && age >= templateRetry) && !e.busy {
			e.busy = t.s.spawn(func() { t.refresh(of.URL, e) })
		}
		return e.last, nil
	case e.err != nil && age < templateRetry:
		return nil, e.err
	}
	// Those who come meanwhile wait for this one, so it does not end with the one who came first.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), templateWait)
	defer cancel()
	e.keep(t.s.now(), of.URL, t.fetch(ctx, of.URL))
	return e.last, e.err
}

func (t *templates) refresh(from string, e *templateEntry) {
	ctx, cancel := context.WithTimeout(t.s.ctx, templateWait)
	defer cancel()
	got := t.fetch(ctx, from)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.busy = false
	e.keep(t.s.now(), from, got)
	if e.err != nil && t.s.ctx.Err() == nil {
		t.s.options.Report(e.err)
	}
}

// fetched is what a fetch gave.
type fetched struct {
	data []byte
	err  error
}

// keep puts what was fetched into the entry. What can't be read takes the place of nothing.
func (e *templateEntry) keep(now time.Time, from string, got fetched) {
	e.at, e.err = now, got.err
	if got.err == nil {
		var parsed *cfn.Template
		if parsed, e.err = cfn.Parse(got.data); e.err == nil {
			e.last = &loaded{got.data, parsed}
		}
	}
	if e.err != nil {
		e.err = fmt.Errorf("%s: %w", hostOf(from), e.err)
	}
}

func (t *templates) entry(key string) *templateEntry {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.entries[key]
	if e == nil {
		e = &templateEntry{}
		t.entries[key] = e
	}
	return e
}

// fetch reads a URL: over https alone, no further than it, and not more than a template may have.
func (t *templates) fetch(ctx context.Context, from string) fetched {
	bad := func(format string, args ...any) fetched { return fetched{err: fmt.Errorf(format, args...)} }
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, http.NoBody)
	if err != nil {
		return bad("the URL can't be read")
	}
	req.Header.Set("User-Agent", "caddy-aws-sigv4")
	res, err := onlyHere(t.s.options.HTTPClient).Do(req)
	if err != nil {
		return fetched{err: fetchFailed(ctx, err)}
	}
	defer res.Body.Close()
	if to, err := res.Location(); err == nil && res.StatusCode/100 == 3 {
		return bad("the server redirects to %s://%s: write the URL where the template is", clip.Text(to.Scheme), clip.Text(to.Host))
	}
	if res.StatusCode != http.StatusOK {
		return bad("the server answered %d: see that everybody may read the template, or write `file`", res.StatusCode)
	}
	data, err := io.ReadAll(io.LimitReader(res.Body, cfn.MaxSize+1))
	switch {
	case err != nil:
		return fetched{err: fetchFailed(ctx, err)}
	case len(data) > cfn.MaxSize:
		return bad("it has more than the %d bytes that a template has", cfn.MaxSize)
	}
	return fetched{data: data}
}

// fetchFailed leaves out the URL, whose query may be secret.
func fetchFailed(ctx context.Context, err error) error {
	if refused, ok := errors.AsType[*dial.Error](err); ok {
		return refused
	}
	if ctx.Err() != nil {
		return fmt.Errorf("the server did not answer within %v", templateWait)
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	return fmt.Errorf("the server can't be reached: %w", err)
}

// hostOf returns a URL's host.
func hostOf(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return "the URL"
	}
	return u.Host
}

// file reads a file whenever it has changed.
func (e *templateEntry) file(name string) (*loaded, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, os.ErrNotExist) && !filepath.IsAbs(name):
		here, _ := os.Getwd()
		return nil, fmt.Errorf("there is no %s in %s: paths are relative to where Caddy was started", name, here)
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is no file", name)
	case info.Size() > cfn.MaxSize:
		return nil, fmt.Errorf("%s has %d bytes, and a template at most %d", name, info.Size(), cfn.MaxSize)
	case e.last != nil && info.ModTime().Equal(e.changed) && int(info.Size()) == len(e.last.data):
		return e.last, nil
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	parsed, err := cfn.Parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	e.last, e.changed = &loaded{data, parsed}, info.ModTime()
	return e.last, nil
}

// settings are the template's, as package cfn knows them.
func (t *Template) settings() cfn.Settings {
	return cfn.Settings{
		Parameters:          t.Parameters,
		ExternalIDParameter: t.ExternalIDParameter,
		AccountParameter:    t.AccountParameter,
		PrincipalParameter:  t.PrincipalParameter,
	}
}

// checked loads a template, and sees that it goes with its settings.
func (t *templates) checked(ctx context.Context, of *Template) (*loaded, error) {
	l, err := t.load(ctx, of)
	if err != nil {
		return nil, err
	}
	if err := l.parsed.Check(of.settings()); err != nil {
		return nil, err
	}
	for _, p := range l.parsed.Parameters {
		if p.Name != of.ExternalIDParameter {
			continue
		}
		if err := p.Check(newExternalID()); err != nil {
			return nil, fmt.Errorf("it does not take an External ID as they are made here, 40 hexadecimal digits: %w", err)
		}
	}
	return l, nil
}

// CheckTemplateFiles says what is wrong with the templates of all integrations that are files, without
// any network: what can't be read, has no parameter for the External ID, or does not take the values
// that are configured.
func (s *Service) CheckTemplateFiles() error {
	return s.checkTemplates(context.Background(), func(t *Template) bool { return t.File != "" })
}

// CheckTemplates does the same for all templates, and fetches those that are URLs.
func (s *Service) CheckTemplates(ctx context.Context) error {
	return s.checkTemplates(ctx, func(*Template) bool { return true })
}

func (s *Service) checkTemplates(ctx context.Context, which func(*Template) bool) error {
	var wrong []error
	for _, key := range s.integrationKeys() {
		c := s.options.Integrations[key]
		for i := range c.Templates {
			t := &c.Templates[i]
			if !which(t) {
				continue
			}
			if _, err := s.templates.checked(ctx, t); err != nil {
				wrong = append(wrong, fmt.Errorf("integration %s: template %s: %w", key, t.ID, err))
			}
		}
	}
	return errors.Join(wrong...)
}

// loadTemplates has templates ready before the first customer comes, and tells the operator what is
// wrong with them.
func (s *Service) loadTemplates(ctx context.Context) {
	if err := s.CheckTemplates(ctx); err != nil && ctx.Err() == nil {
		s.options.Report(err)
	}
}

// Template returns a template as it is written, and json or yaml, for customers who upload it.
func (s *Service) Template(ctx context.Context, integration, id string) (data []byte, format string, err error) {
	c, err := s.integrationOf(integration)
	if err != nil {
		return nil, "", err
	}
	for i := range c.Templates {
		if t := &c.Templates[i]; t.ID == id {
			l, err := s.templates.checked(ctx, t)
			if err != nil {
				return nil, "", fail(ErrUnavailable, "the template can't be read at the moment")
			}
			return l.data, l.parsed.Format, nil
		}
	}
	return nil, "", fail(ErrNotFound, "the integration has no such template")
}
