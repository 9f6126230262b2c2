package connect

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// made is a connection for tests, the n-th.
func made(n int) Connection {
	now := time.Date(2026, 3, 1, 12, 0, 0, n, time.UTC)
	return Connection{
		ID: newUUID(), Integration: fmt.Sprint("integration-", n%3), RoleARN: fmt.Sprintf("arn:aws:iam::%012d:role/Customer", n),
		ExternalID: newExternalID(), Account: fmt.Sprintf("%012d", n), Region: "eu-west-1",
		EndUser:      EndUser{ID: fmt.Sprint("user-", n/2), Email: fmt.Sprintf("user%d@globex.example", n/2), DisplayName: "Ann"},
		Organization: Organization{ID: fmt.Sprint("organization-", n/10), DisplayName: fmt.Sprint("Globex ", n/10)},
		Tags:         map[string]string{"team": fmt.Sprint("t", n%5), "plan": "pro"},
		Metadata:     map[string]json.RawMessage{"number": json.RawMessage(fmt.Sprint(n))},
		Created:      now, Updated: now, Verified: now, Probe: "proven",
	}
}

func fill(n int) *index {
	x := newIndex()
	for i := range n {
		c := made(i)
		x.set(c.ID, newIndexed(c, "1"))
	}
	return x
}

// TestPagesOfTheIndex compares with going through all, while connections come, change and go.
func TestPagesOfTheIndex(t *testing.T) {
	x := newIndex()
	truth := make(map[string]Connection)
	filters := []Filter{
		{},
		{Integrations: []string{"integration-1"}},
		{Integrations: []string{"integration-2", "integration-0", "integration-2", "none"}},
		{EndUser: "user-7"},
		{Organization: "organization-2"},
		{Organization: "organization-2", Integrations: []string{"integration-1", "integration-2"}},
		{Tags: map[string]string{"team": "t3"}},
		{Tags: map[string]string{"team": "t3", "plan": "pro"}},
		{Tags: map[string]string{"team": "t3"}, EndUser: "user-4"},
		{Tags: map[string]string{"end_user_id": "user-9"}},
		{Tags: map[string]string{"organization_display_name": "Globex 1", "team": "t1"}},
		{Tags: map[string]string{"team": ""}},
		{Tags: map[string]string{"no": "one"}},
		{Search: "GLOBEX 3"},
		{Search: "user1", Integrations: []string{"integration-1"}},
		{ID: "none"},
	}
	compare := func() {
		t.Helper()
		ids := slices.Sorted(maps.Keys(truth))
		all := filters
		if len(ids) > 0 {
			all = append(slices.Clone(filters), Filter{ID: ids[0]}, Filter{ID: ids[0], EndUser: "other"})
		}
		for _, f := range all {
			var want []string
			for _, id := range ids {
				if c := truth[id]; f.matches(&c) {
					want = append(want, id)
				}
			}
			if page, _, total := x.page(f, "", 5, 3); total != len(want) || len(page) != min(3, max(0, len(want)-5)) || len(page) > 0 && page[0].connection.ID != want[5] {
				t.Fatalf("%+v: %d after 5 of %d", f, len(page), total)
			}
			for _, limit := range []int{1, 7, 1000} {
				var got []string
				for after, n := "", 0; ; n++ {
					page, next, total := x.page(f, after, 0, limit)
					for _, e := range page {
						got = append(got, e.connection.ID)
						if !reflect.DeepEqual(e.connection, truth[e.connection.ID]) {
							t.Fatalf("%+v is not the last of its ID", e.connection)
						}
					}
					if total != len(want) || len(page) > limit || n > len(want) {
						t.Fatalf("%+v: %d in all, want %d; %d on a page of %d", f, total, len(want), len(page), limit)
					}
					if next == "" {
						break
					}
					after = next
				}
				if !slices.Equal(got, want) {
					t.Fatalf("%+v in pages of %d: %d, want %d", f, limit, len(got), len(want))
				}
			}
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	for step := range 400 {
		ids := slices.Sorted(maps.Keys(truth))
		switch kind := r.IntN(4); {
		case kind < 2 || len(ids) == 0:
			c := made(step)
			truth[c.ID] = c
			x.set(c.ID, newIndexed(c, fmt.Sprint(step)))
		case kind == 2:
			c := made(step)
			c.ID = ids[r.IntN(len(ids))]
			if step%3 == 0 {
				c.EndUser, c.Organization, c.Tags = EndUser{}, Organization{}, nil
			}
			truth[c.ID] = c
			x.set(c.ID, newIndexed(c, fmt.Sprint(step)))
		default:
			id := ids[r.IntN(len(ids))]
			delete(truth, id)
			x.set(id, nil)
		}
		if step%40 == 39 {
			compare()
		}
	}
	for id := range truth {
		x.set(id, nil)
	}
	clear(truth)
	compare()
	if len(x.lists) != 0 {
		t.Errorf("%d lists are left", len(x.lists))
	}
}

// TestWhatIsOldDoesNotReplaceWhatIsNew: somebody reads a connection, and puts it into memory only after it
// has changed.
func TestWhatIsOldDoesNotReplaceWhatIsNew(t *testing.T) {
	x := newIndex()
	old := made(1)
	version := x.version(old.ID)
	changed := old
	changed.Paused = true
	x.set(old.ID, newIndexed(changed, "2"))
	if x.replace(old.ID, version, newIndexed(old, "1")) || !x.get(old.ID).connection.Paused {
		t.Error("an old connection has replaced a new one")
	}
	version = x.version(old.ID)
	x.set(old.ID, nil)
	if x.replace(old.ID, version, newIndexed(changed, "2")) || x.get(old.ID) != nil {
		t.Error("a connection that was deleted is back")
	}
	if !x.replace(old.ID, x.version(old.ID), newIndexed(old, "1")) {
		t.Error("it could not be put there")
	}
}

// TestClonesShareNothing fills every field there is.
func TestClonesShareNothing(t *testing.T) {
	var c Connection
	fillAll(t, reflect.ValueOf(&c).Elem())
	before, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	d := c.clone()
	if !reflect.DeepEqual(c, d) {
		t.Fatal("it is another one")
	}
	spoil(reflect.ValueOf(&d).Elem())
	if after, _ := json.Marshal(c); string(after) != string(before) {
		t.Errorf("whoever changes a clone changes the connection:\n%s\n%s", before, after)
	}
}

func fillAll(t *testing.T, v reflect.Value) {
	t.Helper()
	switch v.Kind() {
	case reflect.String:
		v.SetString("a")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(1)
	case reflect.Uint8:
		v.SetUint('1')
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fillAll(t, v.Index(0))
	case reflect.Map:
		value := reflect.New(v.Type().Elem()).Elem()
		fillAll(t, value)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.ValueOf("a"), value)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fillAll(t, v.Elem())
	case reflect.Struct:
		if _, ok := reflect.TypeAssert[time.Time](v); ok {
			return
		}
		for _, f := range v.Fields() {
			fillAll(t, f)
		}
	default:
		t.Fatalf("a field of a connection is a %v: think of clone", v.Kind())
	}
}

// spoil changes whatever is behind a pointer, in place.
func spoil(v reflect.Value) {
	switch v.Kind() {
	case reflect.Slice:
		for i := range v.Len() {
			v.Index(i).SetZero()
			if v.Index(i).Kind() == reflect.Uint8 {
				v.Index(i).SetUint('2')
			}
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			if e := v.MapIndex(k); e.Kind() == reflect.Slice {
				spoil(e)
			}
			v.SetMapIndex(k, reflect.Value{})
		}
	case reflect.Pointer:
		if !v.IsNil() {
			v.Elem().SetZero()
		}
	case reflect.Struct:
		if _, ok := reflect.TypeAssert[time.Time](v); ok {
			return
		}
		for _, f := range v.Fields() {
			spoil(f)
		}
	default: // It is the clone's own.
	}
}

func TestStandsForTag(t *testing.T) {
	for name, want := range map[string]bool{"end_user_email": true, "organization_id": true, "team": false} {
		if got := standsForTag(name); got != want || strings.Contains(name, " ") {
			t.Errorf("%s: %t", name, got)
		}
	}
}
