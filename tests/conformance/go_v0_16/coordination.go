package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/inngest/inngestgo"
	sdkerrors "github.com/inngest/inngestgo/errors"
	"github.com/inngest/inngestgo/group"
	"github.com/inngest/inngestgo/step"
)

// What a step can ask for besides running code: others' events, signals, other functions, requests.

type anyData = map[string]any

type asked = inngestgo.Input[anyData]

type handler = func(ctx context.Context, in asked) (any, error)

var (
	app = os.Getenv("CONFORMANCE_APP")
	// A server that steps may make requests to.
	outside = os.Getenv("CONFORMANCE_OUTSIDE")
)

// on registers a function for the event `<app>/<name>` that notes every time it is entered.
func on(client inngestgo.Client, name string, retries int, run handler, cancel ...inngestgo.ConfigCancel) {
	opts := inngestgo.FunctionOpts{ID: name, Name: name, Retries: inngestgo.IntPtr(retries), Cancel: cancel}
	define(client, opts, app+"/"+name, nil, run)
}

func define(client inngestgo.Client, opts inngestgo.FunctionOpts, event string, when *string, run handler) {
	entered := func(ctx context.Context, in asked) (any, error) {
		notes.note(in.InputCtx.RunID, "enter")
		return run(ctx, in)
	}
	if _, err := inngestgo.CreateFunction(client, opts, inngestgo.EventTrigger(event, when), entered); err != nil {
		panic(err)
	}
}

// did is a step that notes that its code ran.
func did(ctx context.Context, in asked, id string, result any) (any, error) {
	return step.Run(ctx, id, func(ctx context.Context) (any, error) {
		notes.note(in.InputCtx.RunID, fmt.Sprintf("step:%s:%d", id, in.InputCtx.Attempt))
		return result, nil
	})
}

// caught is what an error of the step says, where the function expects one.
func caught(value any, err error) (any, error) {
	if err == nil {
		return value, nil
	}
	return map[string]string{"caught": err.Error()}, nil
}

func invoke(ctx context.Context, function string, data anyData, timeout time.Duration) (any, error) {
	opts := step.InvokeOpts{FunctionId: app + "-" + function, Data: data, Timeout: timeout}
	return step.Invoke[any](ctx, "child", opts)
}

func send(ctx context.Context, id, name string, data anyData) (string, error) {
	return step.Send(ctx, id, inngestgo.GenericEvent[anyData]{Name: app + "/" + name, Data: data})
}

// wait is what the event brought that the run waited for; nil when none came.
func wait(ctx context.Context, id, event string, timeout time.Duration, condition string) (any, error) {
	opts := step.WaitForEventOpts{Event: event, Timeout: timeout}
	if condition != "" {
		opts.If = &condition
	}
	found, err := step.WaitForEvent[anyData](ctx, id, opts)
	if errors.Is(err, step.ErrEventNotReceived) {
		return nil, nil
	}
	return anyData{"name": found["name"], "id": found["id"], "data": found["data"]}, err
}

// waitFor waits for an hour for the event `<app>/<name>`.
func waitFor(name, condition string) handler {
	return func(ctx context.Context, in asked) (any, error) {
		return wait(ctx, name, app+"/"+name, time.Hour, condition)
	}
}

func stopped(name, condition, timeout string) inngestgo.ConfigCancel {
	rule := inngestgo.ConfigCancel{Event: app + "/" + name + ".stop"}
	if condition != "" {
		rule.If = &condition
	}
	if timeout != "" {
		rule.Timeout = &timeout
	}
	return rule
}

func coordinate(client inngestgo.Client) {
	invoking(client)
	sending(client)
	waiting(client)
	cancelling(client)
	signalling(client)
	requesting(client)
	observing(client)
}

func invoking(client inngestgo.Client) {
	on(client, "child", 0, func(ctx context.Context, in asked) (any, error) {
		n, _ := in.Event.Data["n"].(float64)
		return anyData{"doubled": n * 2, "by": in.Event.Name}, nil
	})
	on(client, "child-nothing", 0, func(ctx context.Context, in asked) (any, error) { return nil, nil })
	on(client, "child-broken", 0, func(ctx context.Context, in asked) (any, error) {
		return nil, errors.New("the child is broken")
	})
	on(client, "child-asleep", 0, func(ctx context.Context, in asked) (any, error) {
		if parent, ok := in.Event.Data["parent"].(string); ok {
			notes.note(parent, "child:"+in.InputCtx.RunID)
		}
		step.Sleep(ctx, "hour", time.Hour)
		return nil, nil
	}, stopped("child-asleep", "", ""))
	on(client, "invoke", 0, func(ctx context.Context, in asked) (any, error) {
		return invoke(ctx, "child", in.Event.Data, 0)
	})
	on(client, "invoke-nothing", 0, func(ctx context.Context, in asked) (any, error) {
		return invoke(ctx, "child-nothing", nil, 0)
	})
	on(client, "invoke-failure", 0, func(ctx context.Context, in asked) (any, error) {
		return caught(invoke(ctx, "child-broken", nil, 0))
	})
	on(client, "invoke-failure-uncaught", 3, func(ctx context.Context, in asked) (any, error) {
		return invoke(ctx, "child-broken", nil, 0)
	})
	on(client, "invoke-timeout", 0, func(ctx context.Context, in asked) (any, error) {
		_, _ = did(ctx, in, "before", 1)
		found, err := caught(invoke(ctx, "child-asleep", nil, time.Second))
		if err != nil {
			return nil, err
		}
		return did(ctx, in, "after", found)
	})
	on(client, "invoke-unknown", 0, func(ctx context.Context, in asked) (any, error) {
		return caught(invoke(ctx, "nowhere", nil, 0))
	})
	on(client, "invoke-cancelled", 0, func(ctx context.Context, in asked) (any, error) {
		return caught(invoke(ctx, "child-asleep", anyData{"parent": in.InputCtx.RunID}, 0))
	})
}

func sending(client inngestgo.Client) {
	on(client, "received", 0, func(ctx context.Context, in asked) (any, error) { return in.Event.Data, nil })
	on(client, "send-events", 0, func(ctx context.Context, in asked) (any, error) {
		events := []inngestgo.GenericEvent[anyData]{}
		for number := range 2 {
			data := anyData{"number": number}
			events = append(events, inngestgo.GenericEvent[anyData]{Name: app + "/received", Data: data})
		}
		return step.SendMany(ctx, "send", events)
	})
	on(client, "parallel-all", 0, func(ctx context.Context, in asked) (any, error) {
		results := group.Parallel(ctx,
			func(ctx context.Context) (any, error) { return invoke(ctx, "child", in.Event.Data, 0) },
			func(ctx context.Context) (any, error) { return did(ctx, in, "a", 1) },
			func(ctx context.Context) (any, error) { return did(ctx, in, "b", 2) },
			func(ctx context.Context) (any, error) {
				_, err := send(ctx, "send", "received", anyData{"number": 2})
				return 1, err
			},
		)
		after, err := did(ctx, in, "after", 3)
		return append(valuesOf(results), after), err
	})
}

func waiting(client inngestgo.Client) {
	on(client, "wait-if", 0, waitFor("wait-if.go", "async.data.n == event.data.n && async.data.mark != 'wrong'"))
	on(client, "wait-either", 0, waitFor("wait-either.go", "async.data.n == event.data.n || async.data.n > 100"))
	on(client, "wait-any", 0, waitFor("wait-any.go", ""))
	on(client, "wait-many", 0, waitFor("wait-many.go", "async.data.group == event.data.group"))
	on(client, "wait-condition", 3, waitFor("wait-condition.go", "async.data.n == == 1"))
	on(client, "wait-timeout", 0, func(ctx context.Context, in asked) (any, error) {
		_, _ = did(ctx, in, "before", 1)
		found, _ := wait(ctx, "wait-timeout.go", app+"/wait-timeout.go", time.Second, "")
		return did(ctx, in, "after", anyData{"found": found})
	})
	on(client, "wait-trigger", 0, func(ctx context.Context, in asked) (any, error) {
		return wait(ctx, "wait-trigger", app+"/wait-trigger", time.Second, "")
	})
	on(client, "wait-parallel", 0, func(ctx context.Context, in asked) (any, error) {
		branch := func(name string, timeout time.Duration) branch {
			return func(ctx context.Context) (any, error) { return wait(ctx, name, app+"/"+name, timeout, "") }
		}
		return valuesOf(group.Parallel(ctx,
			branch("wait-parallel.one", time.Hour),
			branch("wait-parallel.two", time.Second),
			branch("wait-parallel.three", time.Hour),
		)), nil
	})
	on(client, "wait-twice", 0, func(ctx context.Context, in asked) (any, error) {
		first, _ := wait(ctx, "first", app+"/wait-twice.go", time.Hour, "")
		second, err := wait(ctx, "second", app+"/wait-twice.go", time.Hour, "")
		return []any{first, second}, err
	})
	on(client, "wait-lookback", 0, func(ctx context.Context, in asked) (any, error) {
		answer := inngestgo.GenericEvent[anyData]{Name: app + "/wait-lookback.go", Data: anyData{"n": 20}}
		answer.ID = inngestgo.StrPtr(app + "-answer")
		_, _ = step.Send(ctx, "ask", answer)
		return wait(ctx, "answer", app+"/wait-lookback.go", time.Hour, "async.data.n == event.data.n")
	})
}

func cancelling(client inngestgo.Client) {
	on(client, "cancel-on", 0, func(ctx context.Context, in asked) (any, error) {
		step.Sleep(ctx, "hour", time.Hour)
		return nil, nil
	}, stopped("cancel-on", "async.data.n == event.data.n", ""))
	on(client, "cancel-on-late", 0, func(ctx context.Context, in asked) (any, error) {
		step.Sleep(ctx, "past the timeout", 2*time.Second)
		_, _ = send(ctx, "stop", "cancel-on-late.stop", anyData{})
		step.Sleep(ctx, "a while", time.Second)
		return "went on", nil
	}, stopped("cancel-on-late", "", "1s"))
}

// signalling: a signal is one run's; the test says in the event which one.
func signalling(client inngestgo.Client) {
	waiting := func(conflict step.SignalConfict) handler {
		return func(ctx context.Context, in asked) (any, error) {
			name, _ := in.Event.Data["signal"].(string)
			opts := step.WaitForSignalOpts{Signal: name, Timeout: time.Hour, OnConflict: conflict}
			found, err := step.WaitForSignal[any](ctx, "wait", opts)
			if errors.Is(err, step.ErrSignalNotReceived) {
				return nil, nil
			}
			return found, err
		}
	}
	on(client, "signal", 0, waiting(step.SignalConflictFail))
	on(client, "signal-replace", 0, waiting(step.SignalConflictReplace))
	on(client, "signal-timeout", 0, func(ctx context.Context, in asked) (any, error) {
		_, _ = did(ctx, in, "before", 1)
		opts := step.WaitForSignalOpts{Signal: app + "-never", Timeout: time.Second}
		_, err := step.WaitForSignal[any](ctx, "wait", opts)
		if !errors.Is(err, step.ErrSignalNotReceived) {
			return nil, fmt.Errorf("a signal that nobody sent: %w", err)
		}
		return did(ctx, in, "after", anyData{"found": nil})
	})
}

func requesting(client inngestgo.Client) {
	on(client, "fetch", 0, func(ctx context.Context, in asked) (any, error) {
		headers := map[string]string{"x-said": "yes"}
		opts := step.FetchOpts{URL: outside + "/echo?a=1", Method: "POST", Body: "hello", Headers: headers}
		answer, err := step.Fetch[string](ctx, "fetch", opts)
		return anyData{"status": answer.StatusCode, "body": decoded(answer.Body)}, err
	})
	on(client, "fetch-status", 0, func(ctx context.Context, in asked) (any, error) {
		answer, err := step.Fetch[string](ctx, "fetch", step.FetchOpts{URL: outside + "/teapot", Method: "GET"})
		kind := answer.Headers["x-kind"] + answer.Headers["X-Kind"]
		return anyData{"status": answer.StatusCode, "kind": kind, "body": answer.Body}, err
	})
	on(client, "fetch-failure", 0, func(ctx context.Context, in asked) (any, error) {
		_, err := step.Fetch[string](ctx, "fetch", step.FetchOpts{URL: "http://127.0.0.1:1/", Method: "GET"})
		return nameOf(err), nil
	})
	infer := func(ctx context.Context, place string) (anyData, error) {
		base := outside + place
		opts := step.InferOpts[anyData]{
			Opts: step.InferOpenAIOpts(inngestgo.StrPtr("a-key"), &base),
			Body: anyData{"model": "a-model", "messages": []any{anyData{"role": "user", "content": "hi"}}},
		}
		return step.Infer[anyData, anyData](ctx, "ask", opts)
	}
	on(client, "infer", 0, func(ctx context.Context, in asked) (any, error) {
		answer, err := infer(ctx, "")
		return answer["choices"], err
	})
	on(client, "infer-failure", 0, func(ctx context.Context, in asked) (any, error) {
		_, err := infer(ctx, "/broken")
		return nameOf(err), nil
	})
}

// decoded is the JSON that the text holds.
func decoded(text string) any {
	var found any
	if err := json.Unmarshal([]byte(text), &found); err != nil {
		return text
	}
	return found
}

func nameOf(err error) any {
	var failed sdkerrors.StepError
	if errors.As(err, &failed) {
		return failed.Name
	}
	return fmt.Sprint(err)
}

func observing(client inngestgo.Client) {
	on(client, "observed", 0, func(ctx context.Context, in asked) (any, error) {
		what, _ := in.Event.Data["what"].(string)
		if what == "fail" {
			return nil, errors.New("it was asked to")
		}
		if what == "sleep" {
			step.Sleep(ctx, "hour", time.Hour)
		}
		return anyData{"what": what}, nil
	}, stopped("observed", "", ""))
	for _, ending := range []string{"finished", "failed", "cancelled"} {
		when := fmt.Sprintf("event.data.function_id == '%s-observed'", app)
		id := "observer-" + ending
		opts := inngestgo.FunctionOpts{ID: id, Name: id, Retries: inngestgo.IntPtr(0)}
		define(client, opts, "inngest/function."+ending, &when, func(ctx context.Context, in asked) (any, error) {
			run, _ := in.Event.Data["run_id"].(string)
			notes.note(run, ending+":"+in.InputCtx.RunID)
			return in.Event.Data, nil
		})
	}
	on(client, "wait-end", 0, func(ctx context.Context, in asked) (any, error) {
		run := in.InputCtx.RunID
		_, _ = send(ctx, "start", "observed", anyData{"what": "go", "mark": run})
		when := fmt.Sprintf("async.data.event.data.mark == '%s'", run)
		opts := step.WaitForEventOpts{Event: "inngest/function.finished", Timeout: time.Hour, If: &when}
		ended, err := step.WaitForEvent[anyData](ctx, "end", opts)
		if err != nil {
			return nil, err
		}
		data, _ := ended["data"].(anyData)
		return data["result"], nil
	})
}
