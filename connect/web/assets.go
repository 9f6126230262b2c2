package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"net/http"
	"path"
	"strings"
	"time"
)

//go:embed assets/*
var assetFiles embed.FS

// asset is a file that the page refers to. Its name has a hash of what is in it, so that a browser
// never has to ask for it again.
type asset struct {
	name        string
	contentType string
	data        []byte
}

var assetTypes = map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}

// readAssets returns the assets by the names of their files.
func readAssets() (map[string]asset, error) {
	entries, err := assetFiles.ReadDir("assets")
	if err != nil {
		return nil, err
	}
	all := map[string]asset{}
	for _, e := range entries {
		data, err := assetFiles.ReadFile("assets/" + e.Name())
		if err != nil {
			return nil, err
		}
		all[e.Name()] = newAsset(e.Name(), data)
	}
	for _, theme := range themes {
		name := "style-" + theme + ".css"
		all[name] = newAsset(name, themed(all["style.css"].data, theme))
	}
	return all, nil
}

func newAsset(file string, data []byte) asset {
	sum := sha256.Sum256(data)
	ext := path.Ext(file)
	return asset{strings.TrimSuffix(file, ext) + "." + hex.EncodeToString(sum[:8]) + ext, assetTypes[ext], data}
}

// asset answers with an asset.
func (h *Handler) asset(w http.ResponseWriter, r *http.Request) {
	for _, a := range h.assets {
		if a.name != r.PathValue("name") {
			continue
		}
		w.Header().Set("Content-Type", a.contentType)
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
		http.ServeContent(w, r, a.name, time.Time{}, bytes.NewReader(a.data))
		return
	}
	h.nowhere(w, r)
}
