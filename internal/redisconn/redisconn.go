// Package redisconn opens Redis from a URL, the same way for every role and for
// the producer library.
package redisconn

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/segue-audio/segue/internal/fault"
)

// The bounds of one connection's waits. A Redis that cannot be reached is known
// to be so within five seconds.
const (
	dialTimeout = 2 * time.Second
	ioTimeout   = 3 * time.Second
	pingTimeout = 4500 * time.Millisecond
	// poolSize is enough for every server of one worker at its default
	// concurrency: asynq uses a connection per running task for a moment only.
	poolSize = 64
)

// Open makes a client for the URL. The forms:
//
//	redis://user:password@host:port/db, rediss:// (TLS), unix:///path?db=n
//	redis-sentinel://user:password@host1,host2/master?db=n
//	redis-cluster://user:password@host1,host2, rediss-cluster://
//
// It does not connect; see Ping. A malformed URL is invalid, and the error does
// not repeat it, since it may hold a password.
func Open(address string) (redis.UniversalClient, error) {
	const op = "redisconn.Open"
	scheme, _, _ := strings.Cut(address, "://")
	switch scheme {
	case "redis", "rediss", "unix":
		o, err := redis.ParseURL(address)
		if err != nil {
			return nil, fault.New(fault.Invalid, op, errors.New("the redis URL is malformed"))
		}
		o.DialTimeout, o.ReadTimeout, o.WriteTimeout = dialTimeout, ioTimeout, ioTimeout
		o.PoolSize, o.ContextTimeoutEnabled = max(o.PoolSize, poolSize), true
		return redis.NewClient(o), nil
	case "redis-sentinel", "redis-cluster", "rediss-cluster":
		o, err := universal(address, scheme)
		if err != nil {
			return nil, fault.New(fault.Invalid, op, err)
		}
		return redis.NewUniversalClient(o), nil
	}
	return nil, fault.New(fault.Invalid, op, fmt.Errorf("redis URL has scheme %q; it is redis, rediss, unix, redis-sentinel or redis-cluster", scheme))
}

// universal reads the forms that name several hosts.
func universal(address, scheme string) (*redis.UniversalOptions, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, errors.New("the redis URL is malformed")
	}
	o := &redis.UniversalOptions{
		Addrs: strings.Split(u.Host, ","), Username: u.User.Username(),
		DialTimeout: dialTimeout, ReadTimeout: ioTimeout, WriteTimeout: ioTimeout,
		PoolSize: poolSize, ContextTimeoutEnabled: true,
		IsClusterMode: strings.HasSuffix(scheme, "-cluster"),
	}
	o.Password, _ = u.User.Password()
	if strings.HasPrefix(scheme, "rediss") {
		o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if o.IsClusterMode {
		return o, nil
	}
	if o.MasterName = strings.Trim(u.Path, "/"); o.MasterName == "" {
		return nil, errors.New("the redis URL names no master: redis-sentinel://host1,host2/master")
	}
	if db := u.Query().Get("db"); db != "" {
		if o.DB, err = strconv.Atoi(db); err != nil {
			return nil, fmt.Errorf("the redis URL has db=%q; it is a number", db)
		}
	}
	return o, nil
}

// Ping says within five seconds whether Redis answers; it is unavailable if not.
func Ping(ctx context.Context, rdb redis.UniversalClient) error {
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	if err := rdb.Ping(ctx).Err(); err != nil {
		return fault.New(fault.Unavailable, "redisconn.Ping", fmt.Errorf("redis does not answer: %w", err))
	}
	return nil
}
