package main

import (
	"context"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/segue-audio/segue/handlers"
	"github.com/segue-audio/segue/internal/archive"
	"github.com/segue-audio/segue/internal/audio/source"
	"github.com/segue-audio/segue/internal/bucket"
	"github.com/segue-audio/segue/internal/config"
)

// bucketOptions is how every bucket is reached.
func bucketOptions(s3 config.S3) bucket.Options {
	return bucket.Options{
		Endpoint: s3.Endpoint, Region: s3.Region, PathStyle: s3.PathStyle,
		AccessKey: s3.AccessKey.Reveal(), SecretKey: s3.SecretKey.Reveal(),
	}
}

// archiveNamed makes a directory mean the same to workers elsewhere on this machine.
func archiveNamed(where string) string {
	if strings.Contains(where, "://") {
		return where
	}
	return absolute(where)
}

// archiveDirectory is the directory that an archive is; local is false where it is none.
func archiveDirectory(where string) (dir string, local bool) {
	if !strings.Contains(where, "://") {
		return where, true
	}
	u, err := url.Parse(where)
	if err != nil || u.Scheme != "file" {
		return "", false
	}
	return filepath.FromSlash(u.Path), true
}

// archiveFindings are what is wrong with an archive's name. Nothing is made or asked.
func archiveFindings(where string) []source.Finding {
	scheme, rest, hasScheme := strings.Cut(where, "://")
	switch {
	case !hasScheme || scheme == "file" && strings.HasPrefix(rest, "/"):
		return nil
	case scheme == "s3":
		if _, err := bucket.Parse(where); err != nil {
			return []source.Finding{wrong("--archive", sentence(err))}
		}
		return nil
	}
	return []source.Finding{wrong("--archive", "it is a directory, file:///directory or s3://bucket/prefix")}
}

// archiveOptions is what archives work with; client downloads.
func (s *system) archiveOptions(client *http.Client) archive.Options {
	return archive.Options{
		HTTP: client, Probe: probeKept, Log: s.log,
		S3: bucketOptions(s.config().S3), Spool: filepath.Join(s.cfg.StateDir, "spool"),
	}
}

// keeping is how results are archived, by the configuration in force.
func (s *system) keeping() handlers.Keeping {
	a := s.config().Archive
	layout, err := archive.ParseLayout(a.Layout)
	if err != nil {
		layout = archive.Layout{} // the configuration was checked: it has one that can be read
	}
	return handlers.Keeping{Layout: layout, Tags: a.Tags, Covers: a.Covers, Sources: a.Sources, Cover: s.keepCover}
}

func (s *system) keepCover(ctx context.Context, store archive.Archive, address, name string) (string, error) {
	client, err := s.egressClient()
	if err != nil {
		return "", err
	}
	return archive.KeepCover(ctx, store, s.fetch.Client(client), address, name)
}
