package provider

import "context"

type leaveKey struct{}

// BeforeLeaving gives a context under which a request asks for leave immediately
// before its first byte is written, when a connection is there: what it was allowed a
// while ago it may not be allowed any more. A request that is refused leave was not
// sent; ask's error, a fault that says so, is what its caller gets.
func BeforeLeaving(ctx context.Context, ask func(context.Context) error) context.Context {
	return context.WithValue(ctx, leaveKey{}, ask)
}

// Leave is what whoever writes a request with a body calls before its first byte.
func Leave(ctx context.Context) error {
	ask, ok := ctx.Value(leaveKey{}).(func(context.Context) error)
	if !ok {
		return nil
	}
	return ask(ctx)
}
