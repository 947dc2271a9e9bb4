// The scenarios with version 0.16 of the Go SDK; see ../scenarios.py for what each must do.
package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/inngest/inngest/pkg/enums"
	"github.com/inngest/inngestgo"
	"github.com/inngest/inngestgo/group"
	"github.com/inngest/inngestgo/pkg/checkpoint"
	"github.com/inngest/inngestgo/step"
)

type data struct {
	N int `json:"n"`
}

type input = inngestgo.Input[data]

type branch = func(ctx context.Context) (any, error)

var values = []any{
	nil, "", 0, false, []any{}, map[string]any{}, "žluťoučký 💡\u2028", 1.5, 1<<53 - 1,
	map[string]any{"data": 1}, map[string]any{"error": "no"},
}

func main() {
	client, err := inngestgo.NewClient(inngestgo.ClientOpts{AppID: app, Checkpoint: checkpointing()})
	if err != nil {
		panic(err)
	}
	for name, f := range scenarios {
		register(client, name, f)
	}
	coordinate(client)
	mux := http.NewServeMux()
	mux.Handle("/api/inngest", client.Serve())
	mux.Handle("/journal/", notes)
	serve(mux)
}

// checkpointing saves each step while the function runs; without being asked to the SDK does not.
func checkpointing() *checkpoint.Config {
	if os.Getenv("CONFORMANCE_CHECKPOINTING") == "1" {
		return checkpoint.ConfigSafe
	}
	return nil
}

func register(client inngestgo.Client, name string, s scenario) {
	opts := inngestgo.FunctionOpts{ID: name, Name: name, Retries: inngestgo.IntPtr(s.retries)}
	trigger := inngestgo.EventTrigger(app+"/"+name, nil)
	entered := func(ctx context.Context, in input) (any, error) {
		notes.note(in.InputCtx.RunID, "enter")
		return s.run(ctx, in)
	}
	if _, err := inngestgo.CreateFunction(client, opts, trigger, entered); err != nil {
		panic(err)
	}
}

// code is a step that notes that its code ran.
func code[T any](ctx context.Context, in input, id string, result func() (T, error)) (T, error) {
	return step.Run(ctx, id, func(ctx context.Context) (T, error) {
		notes.note(in.InputCtx.RunID, fmt.Sprintf("step:%s:%d", id, in.InputCtx.Attempt))
		return result()
	})
}

func gives[T any](value T) func() (T, error) {
	return func() (T, error) { return value, nil }
}

func fails(err error) func() (any, error) {
	return func() (any, error) { return nil, err }
}

// one is a branch of a group with one step; its code waits until the function was entered that many times.
func one(in input, id string, value int, entries int) branch {
	return func(ctx context.Context) (any, error) {
		return code(ctx, in, id, func() (any, error) {
			return value, notes.hold(in.InputCtx.RunID, "enter", entries)
		})
	}
}

func valuesOf(results group.Results) []any {
	found := []any{}
	for _, result := range results {
		found = append(found, result.Value)
	}
	return found
}

type scenario struct {
	retries int
	run     func(ctx context.Context, in input) (any, error)
}

var scenarios = map[string]scenario{
	"single": {0, func(ctx context.Context, in input) (any, error) {
		return code(ctx, in, "only", gives(in.Event.Data.N+1))
	}},
	"no-step": {0, func(ctx context.Context, in input) (any, error) {
		return map[string]any{
			"name": in.Event.Name, "id": in.Event.ID, "data": in.Event.Data, "events": len(in.Events),
		}, nil
	}},
	"sequential": {0, func(ctx context.Context, in input) (any, error) {
		a, _ := code(ctx, in, "a", gives(in.Event.Data.N+1))
		b, _ := code(ctx, in, "b", gives(a*2))
		c, err := code(ctx, in, "c", gives(b-2))
		return map[string]int{"a": a, "b": b, "c": c}, err
	}},
	"repeated": {0, func(ctx context.Context, in input) (any, error) {
		found := []int{}
		for index := range 3 {
			value, _ := code(ctx, in, "again", gives(index))
			found = append(found, value)
		}
		return found, nil
	}},
	"values": {0, func(ctx context.Context, in input) (any, error) {
		found := []any{}
		for place, value := range values {
			got, _ := code(ctx, in, fmt.Sprintf("value-%d", place), gives(value))
			found = append(found, got)
		}
		return found, nil
	}},
	"retried": {3, func(ctx context.Context, in input) (any, error) {
		flaky, err := code(ctx, in, "flaky", func() (int, error) {
			if in.InputCtx.Attempt < 2 {
				return 0, errors.New("not yet")
			}
			return in.InputCtx.Attempt, nil
		})
		if err != nil {
			return nil, err
		}
		after, err := code(ctx, in, "after", gives(in.InputCtx.Attempt))
		return map[string]int{"flaky": flaky, "after": after}, err
	}},
	"caught": {1, func(ctx context.Context, in input) (any, error) {
		_, broken := code(ctx, in, "broken", fails(errors.New("it is broken")))
		if broken == nil {
			return nil, errors.New("the step should have failed")
		}
		after, err := code(ctx, in, "after", gives("went on"))
		return map[string]string{"caught": broken.Error(), "after": after}, err
	}},
	"uncaught": {1, func(ctx context.Context, in input) (any, error) {
		return code(ctx, in, "broken", fails(errors.New("it is broken")))
	}},
	"function-error": {1, func(ctx context.Context, in input) (any, error) {
		return nil, errors.New("the function is broken")
	}},
	"function-recovers": {2, func(ctx context.Context, in input) (any, error) {
		_, _ = code(ctx, in, "before", gives(1))
		if in.InputCtx.Attempt < 2 {
			return nil, errors.New("not yet")
		}
		return map[string]int{"attempt": in.InputCtx.Attempt}, nil
	}},
	"non-retriable": {3, func(ctx context.Context, in input) (any, error) {
		return nil, inngestgo.NoRetryError(errors.New("never again"))
	}},
	"step-non-retriable": {3, func(ctx context.Context, in input) (any, error) {
		return code(ctx, in, "broken", fails(inngestgo.NoRetryError(errors.New("never again"))))
	}},
	"retry-after": {1, func(ctx context.Context, in input) (any, error) {
		return code(ctx, in, "limited", func() (int, error) {
			if in.InputCtx.Attempt == 0 {
				return 0, inngestgo.RetryAtError(errors.New("too fast"), time.Now().Add(3*time.Second))
			}
			return in.InputCtx.Attempt, nil
		})
	}},
	"sleep": {0, func(ctx context.Context, in input) (any, error) {
		_, _ = code(ctx, in, "before", gives(1))
		step.Sleep(ctx, "nap", 1500*time.Millisecond)
		return code(ctx, in, "after", gives("awake"))
	}},
	"sleep-until": {0, func(ctx context.Context, in input) (any, error) {
		until, _ := code(ctx, in, "before", gives(time.Now().Add(1500*time.Millisecond)))
		step.SleepUntil(ctx, "nap", until)
		return code(ctx, in, "after", gives("awake"))
	}},
	"parallel": {0, func(ctx context.Context, in input) (any, error) {
		first := group.Parallel(ctx, one(in, "a", 1, 0), one(in, "b", 2, 0))
		second := group.Parallel(ctx, one(in, "c", 3, 0), one(in, "d", 4, 0))
		return append(valuesOf(first), valuesOf(second)...), nil
	}},
	"parallel-then-step": {0, func(ctx context.Context, in input) (any, error) {
		both := group.Parallel(ctx, one(in, "a", 1, 0), one(in, "b", 2, 0))
		after, err := code(ctx, in, "after", gives(3))
		return append(valuesOf(both), after), err
	}},
	"parallel-failure": {0, func(ctx context.Context, in input) (any, error) {
		broken := func(ctx context.Context) (any, error) {
			return code(ctx, in, "b", fails(errors.New("b is broken")))
		}
		results := group.Parallel(ctx, one(in, "a", 1, 0), broken)
		return map[string]string{"caught": results[1].Error.Error()}, nil
	}},
	"parallel-sleep": {0, func(ctx context.Context, in input) (any, error) {
		nap := func(ctx context.Context) (any, error) {
			step.Sleep(ctx, "nap", 1500*time.Millisecond)
			return nil, nil
		}
		group.Parallel(ctx, one(in, "a", 1, 0), nap)
		return code(ctx, in, "after", gives("awake"))
	}},
	"race": {0, func(ctx context.Context, in input) (any, error) {
		race := group.ParallelOpts{ParallelMode: enums.ParallelModeRace}
		first := group.ParallelWithOpts(ctx, race, one(in, "a", 1, 0), one(in, "b", 2, 4))
		second := group.ParallelWithOpts(ctx, race, one(in, "c", 3, 0), one(in, "d", 4, 8))
		return append(valuesOf(first), valuesOf(second)...), nil
	}},
	"big-state": {0, func(ctx context.Context, in input) (any, error) {
		length, last := 0, ""
		for i := range 6 {
			last, _ = code(ctx, in, fmt.Sprintf("part-%d", i), gives(strings.Repeat(fmt.Sprint(i), 900_000)))
			length += len(last)
		}
		return map[string]any{"length": length, "last": last[:3]}, nil
	}},
}
