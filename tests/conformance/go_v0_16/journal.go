package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

const holdTime = 30 * time.Second

type line struct {
	What string `json:"what"`
	At   int64  `json:"at"`
}

// journal is what the app remembers of its own calls, so that a test can count them.
type journal struct {
	lock  sync.Mutex
	lines map[string][]line
}

var notes = &journal{lines: map[string][]line{}}

func (j *journal) note(run, what string) {
	j.lock.Lock()
	defer j.lock.Unlock()
	j.lines[run] = append(j.lines[run], line{what, time.Now().UnixMilli()})
}

func (j *journal) of(run string) []line {
	j.lock.Lock()
	defer j.lock.Unlock()
	return append([]line{}, j.lines[run]...)
}

// hold returns when `what` was noted `times` times; a step uses it to let something else happen first.
func (j *journal) hold(run, what string, times int) error {
	for end := time.Now().Add(holdTime); ; time.Sleep(10 * time.Millisecond) {
		seen := 0
		for _, entry := range j.of(run) {
			if entry.What == what {
				seen++
			}
		}
		if seen >= times {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("%q was noted %d times, waited for %d", what, seen, times)
		}
	}
}

func (j *journal) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(j.of(strings.TrimPrefix(r.URL.Path, "/journal/")))
}

// serve listens on loopback; the first line of output tells the test where.
func serve(handler http.Handler) {
	port := os.Getenv("CONFORMANCE_PORT")
	if port == "" {
		port = "0"
	}
	listener, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		panic(err)
	}
	fmt.Printf("listening on http://%s\n", listener.Addr())
	panic(http.Serve(listener, handler))
}
