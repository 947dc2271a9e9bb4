package main

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/inngest/inngest/pkg/inngest"
	"github.com/inngest/inngestgo/step"
)

// What a step of that time could ask for besides running code: other functions and events. The error of an invoked
// function could not be caught, and steps sent no events.

type anyData = map[string]any

var app = os.Getenv("CONFORMANCE_APP")

// cancels names the functions that an event cancels.
var cancels = map[string]inngest.Cancel{
	"cancel-on": {Event: app + "/cancel-on.stop", If: text("async.data.n == event.data.n")},
}

func init() {
	for name, f := range coordination {
		scenarios[name] = f
	}
}

func text(value string) *string { return &value }

func invoke(ctx context.Context, function string, data anyData) (any, error) {
	return step.Invoke[any](ctx, "child", step.InvokeOpts{FunctionId: app + "-" + function, Data: data})
}

// wait is what the event brought that the run waited for; nil when none came.
func wait(ctx context.Context, id, event string, timeout time.Duration, condition *string) (any, error) {
	opts := step.WaitForEventOpts{Event: app + "/" + event, Timeout: timeout, If: condition}
	found, err := step.WaitForEvent[anyData](ctx, id, opts)
	if errors.Is(err, step.ErrEventNotReceived) {
		return nil, nil
	}
	return anyData{"name": found["name"], "id": found["id"], "data": found["data"]}, err
}

func waits(event string, timeout time.Duration, condition *string) scenario {
	return scenario{0, func(ctx context.Context, in input) (any, error) {
		return wait(ctx, event, event, timeout, condition)
	}}
}

var coordination = map[string]scenario{
	"child": {0, func(ctx context.Context, in input) (any, error) {
		return anyData{"doubled": in.Event.Data.N * 2, "by": in.Event.Name}, nil
	}},
	"child-nothing": {0, func(ctx context.Context, in input) (any, error) { return nil, nil }},
	"child-broken": {0, func(ctx context.Context, in input) (any, error) {
		return nil, errors.New("the child is broken")
	}},
	"invoke": {0, func(ctx context.Context, in input) (any, error) {
		return invoke(ctx, "child", anyData{"n": in.Event.Data.N})
	}},
	"invoke-nothing": {0, func(ctx context.Context, in input) (any, error) {
		return invoke(ctx, "child-nothing", nil)
	}},
	"invoke-failure-uncaught": {3, func(ctx context.Context, in input) (any, error) {
		return invoke(ctx, "child-broken", nil)
	}},
	"wait-if":        waits("wait-if.go", time.Hour, text("async.data.n == event.data.n && async.data.mark != 'wrong'")),
	"wait-either":    waits("wait-either.go", time.Hour, text("async.data.n == event.data.n || async.data.n > 100")),
	"wait-any":       waits("wait-any.go", time.Hour, nil),
	"wait-condition": waits("wait-condition.go", time.Hour, text("async.data.n == == 1")),
	"wait-trigger":   waits("wait-trigger", time.Second, nil),
	"wait-timeout": {0, func(ctx context.Context, in input) (any, error) {
		_, _ = code(ctx, in, "before", gives(1))
		found, err := wait(ctx, "wait", "wait-timeout.go", time.Second, nil)
		if err != nil {
			return nil, err
		}
		return code(ctx, in, "after", gives(anyData{"found": found}))
	}},
	"wait-twice": {0, func(ctx context.Context, in input) (any, error) {
		first, _ := wait(ctx, "first", "wait-twice.go", time.Hour, nil)
		second, err := wait(ctx, "second", "wait-twice.go", time.Hour, nil)
		return []any{first, second}, err
	}},
	"cancel-on": {0, func(ctx context.Context, in input) (any, error) {
		step.Sleep(ctx, "hour", time.Hour)
		return nil, nil
	}},
}
