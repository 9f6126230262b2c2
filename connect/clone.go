package connect

import (
	"encoding/json"
	"maps"
	"slices"
)

// clone returns a copy that shares nothing that could be changed.
func (c *Connection) clone() Connection {
	d := *c
	d.EndUser.Tags = maps.Clone(c.EndUser.Tags)
	d.Tags = maps.Clone(c.Tags)
	if c.Metadata != nil {
		d.Metadata = make(map[string]json.RawMessage, len(c.Metadata))
		for k, v := range c.Metadata {
			d.Metadata[k] = slices.Clone(v)
		}
	}
	d.Limits.Services = slices.Clone(c.Limits.Services)
	d.Limits.Regions = slices.Clone(c.Limits.Regions)
	d.Limits.Hosts = slices.Clone(c.Limits.Hosts)
	d.Limits.Methods = slices.Clone(c.Limits.Methods)
	d.Limits.Paths = slices.Clone(c.Limits.Paths)
	if c.LastError != nil {
		e := *c.LastError
		d.LastError = &e
	}
	return d
}
