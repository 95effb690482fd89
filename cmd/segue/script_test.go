package main

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/segue-audio/segue/internal/simulator"
)

func TestMain(m *testing.M) {
	// The scripts wait for queues and providers most of the time.
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	testscript.Main(m, map[string]func(){"segue": func() {
		crashAsTold()
		os.Exit(realMain())
	}})
}

// TestScripts runs the command line as its users do. Beside testscript's own, the
// scripts have these commands:
//
//	segue ARG…               runs it; exits N segue ARG… also holds it to its exit code
//	id NAME                  puts the session id of the last output into a variable
//	hash NAME                puts the hash of the plan that the last command printed into a variable
//	redis                    gives the script a database of a real redis-server
//	cut FROM BYTES TO        copies the beginning of a file
//	nowhere TEXT PATH…       no file below the paths contains the text
//	forget PATTERN           deletes every key of the script's database that matches
//	dumpredis FILE           writes every key and value of the script's database
//	shape FILE               holds a session's JSON to what interface.md promises
//	put FILE BUCKET NAME     stores a file in such a bucket
//	agree REPORT STATUS      a session's report as JSON says what its status does
//	drop BUCKET NAME         removes it
//	store BUCKET             gives the script a bucket of a real S3 server: s3://$BUCKET
//	web N                    the server of songs sent exactly so many since the last time
//	sim …                    see (*rig).command
func TestScripts(t *testing.T) {
	redis, store := newDatabases(t), newStore(t)
	testscript.Run(t, testscript.Params{
		Dir:                filepath.Join("testdata", "script"),
		RequireUniqueNames: true,
		Setup:              func(env *testscript.Env) error { return setUp(env, redis) },
		Condition: func(name string) (bool, error) {
			switch name {
			case "redis":
				return redis.url != "", nil
			case "store":
				return store != nil, nil
			}
			return false, fmt.Errorf("unknown condition %q", name)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "id": sessionID, "redis": useRedis, "cut": cut, "nowhere": nowhere,
			"hash": planHashNamed, "dumpredis": dumpRedis, "forget": forget, "shape": shape, "store": store.use, "put": store.put, "drop": store.drop, "agree": agree,
			"web": func(ts *testscript.TestScript, neg bool, args []string) { rigOf(ts, neg).web.command(ts, neg, args) },
			"sim": func(ts *testscript.TestScript, neg bool, args []string) { rigOf(ts, neg).command(ts, args) },
		},
	})
}

// want ends the script when a command of it is not used as it is meant.
func want(ts *testscript.TestScript, used bool, how string) {
	if !used {
		ts.Fatalf("usage: %s", how)
	}
}

// exits holds a command to its exit code, and keeps what it printed in said.txt.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, !neg && len(args) >= 2, "exits N command…")
	code, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	said := ts.ReadFile("stdout") + ts.ReadFile("stderr")
	file, openErr := os.OpenFile(ts.MkAbs("said.txt"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	ts.Check(openErr)
	_, writeErr := file.WriteString(said)
	ts.Check(errors.Join(writeErr, file.Close()))
	got := 0
	if ended, ok := errors.AsType[*exec.ExitError](err); ok {
		got = ended.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != code {
		ts.Fatalf("exit code %d, want %d", got, code)
	}
	if code != exitOK && !strings.Contains(ts.ReadFile("stderr"), "\ntry:   ") {
		ts.Fatalf("the error does not end with the next command to try")
	}
}

var sessionIDs = regexp.MustCompile(`ses_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)

func sessionID(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, !neg && len(args) == 1, "id NAME")
	found := sessionIDs.FindString(ts.ReadFile("stdout") + ts.ReadFile("stderr"))
	if found == "" {
		ts.Fatalf("the last command named no session")
	}
	ts.Setenv(args[0], found)
}

var planHashes = regexp.MustCompile(`p1-[0-9a-f]{32}`)

func planHashNamed(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, !neg && len(args) == 1, "hash NAME")
	found := planHashes.FindString(ts.ReadFile("stdout"))
	if found == "" {
		ts.Fatalf("the last command printed no plan")
	}
	ts.Setenv(args[0], found)
}

func cut(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, !neg && len(args) == 3, "cut FROM BYTES TO")
	length, err := strconv.Atoi(args[1])
	ts.Check(err)
	whole, err := os.ReadFile(ts.MkAbs(args[0]))
	ts.Check(err)
	want(ts, length < len(whole), "cut FROM BYTES TO, with fewer bytes than there are")
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), whole[:length], 0o600))
}

func nowhere(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, !neg && len(args) >= 2 && args[0] != "", "nowhere TEXT PATH…")
	read := 0
	for _, root := range args[1:] {
		err := filepath.WalkDir(ts.MkAbs(root), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || !entry.Type().IsRegular() {
				return err
			}
			content, err := os.ReadFile(path)
			if strings.Contains(string(content), args[0]) {
				return fmt.Errorf("%s contains %s", path, args[0])
			}
			read++
			return err
		})
		ts.Check(err)
	}
	if read == 0 {
		ts.Fatalf("there is no file to look into")
	}
}

// command drives the script's simulator:
//
//	sim stop, sim start          its port is closed, and open again
//	sim fault ENDPOINT KIND N    the next N requests of an endpoint meet a fault
//	sim requests N               it was asked exactly so often
//	sim charges N                it took money exactly so often, and never twice for one thing
//	sim twice N                  it took money for the same thing again exactly so often
//	sim operation FILE NAME      puts the operation that extends a file into a variable
//	sim token NAME               puts the secret part of the last staged URL into one
//	sim credits N                the account of the scripts has so much from here on
func (r *rig) command(ts *testscript.TestScript, args []string) {
	want(ts, len(args) > 0, "sim VERB …")
	number := func(n int) int {
		want(ts, len(args) > n, "sim "+args[0]+" … N")
		v, err := strconv.Atoi(args[n])
		ts.Check(err)
		return v
	}
	switch verdict := r.sim.Verdict(); args[0] {
	case "stop":
		ts.Check(r.stop())
	case "start":
		ts.Check(r.start())
	case "fault":
		ts.Check(r.sim.Script(simulator.Next{Endpoint: args[1], Kind: simulator.Kind(args[2]), Count: number(3)}))
	case "requests":
		if verdict.Requests != number(1) {
			ts.Fatalf("%d requests, want %s", verdict.Requests, args[1])
		}
	case "charges":
		if verdict.Charges != number(1) || verdict.ExtraCharges != 0 {
			ts.Fatalf("%d charges of which %d were paid twice, want %s and none", verdict.Charges, verdict.ExtraCharges, args[1])
		}
	case "twice":
		if verdict.ExtraCharges != number(1) {
			ts.Fatalf("%d things were paid twice, want %s", verdict.ExtraCharges, args[1])
		}
	case "operation":
		ts.Setenv(args[2], r.extension(ts, args[1]))
	case "token":
		ts.Setenv(args[1], tokenOf(ts, r.uploads(ts)))
	case "credits":
		ts.Check(r.sim.SetCredits(r.account(ts), int64(number(1))))
	default:
		ts.Fatalf("sim %s: unknown", args[0])
	}
}
