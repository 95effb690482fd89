package dst

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"
	luajson "github.com/alicebob/miniredis/v2/gopher-json"
	"github.com/alicebob/miniredis/v2/server"
	lua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/parse"
)

// machine is an in-process Redis that runs serve one after the other. Its scripts
// run in one Lua state that is kept: miniredis makes a new one for every call,
// which is more than half of what a run would cost.
type machine struct {
	mini   *miniredis.Miniredis
	state  *lua.LState
	known  map[string]*lua.FunctionProto
	peer   *server.Peer
	answer bytes.Buffer
	plain  bool // leave scripts to miniredis
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	m := &machine{mini: miniredis.RunT(t), known: map[string]*lua.FunctionProto{}}
	m.peer = server.NewPeer(bufio.NewWriter(&m.answer))
	m.state = lua.NewState()
	t.Cleanup(m.state.Close)
	luajson.Preload(m.state)
	if err := m.state.DoString(`cjson = require("json")`); err != nil {
		t.Fatal(err)
	}
	m.state.SetGlobal("redis", m.state.SetFuncs(m.state.NewTable(), map[string]lua.LGFunction{
		"call": m.call, "error_reply": reply("err"), "status_reply": reply("ok"),
	}))
	return m
}

// script executes EVAL or EVALSHA for a peer.
func (m *machine) script(c *server.Peer, name string, args []string) {
	if strings.EqualFold(name, "EVALSHA") {
		proto := m.known[args[0]]
		if proto == nil {
			c.WriteError("NOSCRIPT No matching script. Please use EVAL.")
			return
		}
		m.execute(c, proto, args[1:])
		return
	}
	chunk, err := parse.Parse(strings.NewReader(args[0]), "script")
	if err != nil {
		c.WriteError("ERR " + err.Error())
		return
	}
	proto, err := lua.Compile(chunk, "script")
	if err != nil {
		c.WriteError("ERR " + err.Error())
		return
	}
	digest := sha1.Sum([]byte(args[0]))
	m.known[hex.EncodeToString(digest[:])] = proto
	m.execute(c, proto, args[1:])
}

func (m *machine) execute(c *server.Peer, proto *lua.FunctionProto, args []string) {
	keys, err := strconv.Atoi(args[0])
	if err != nil || keys > len(args)-1 {
		c.WriteError("ERR Number of keys can't be greater than number of args")
		return
	}
	l := m.state
	l.SetGlobal("KEYS", table(l, args[1:1+keys]))
	l.SetGlobal("ARGV", table(l, args[1+keys:]))
	l.Push(l.NewFunctionFromProto(proto))
	if err := l.PCall(0, 1, nil); err != nil {
		c.WriteError("ERR " + err.Error())
		return
	}
	result := l.Get(-1)
	l.Pop(1)
	write(c, result)
}

func table(l *lua.LState, words []string) *lua.LTable {
	t := l.CreateTable(len(words), 0)
	for _, word := range words {
		t.Append(lua.LString(word))
	}
	return t
}

// call is redis.call.
func (m *machine) call(l *lua.LState) int {
	args := make([]string, l.GetTop())
	for n := range args {
		args[n] = l.CheckString(n + 1)
	}
	m.answer.Reset()
	m.mini.Server().Dispatch(m.peer, args)
	m.peer.Flush()
	value, _, err := read(l, m.answer.Bytes())
	if err != nil {
		l.RaiseError("%s", err.Error())
	}
	l.Push(value)
	return 1
}

// reply makes redis.error_reply and redis.status_reply.
func reply(field string) lua.LGFunction {
	return func(l *lua.LState) int {
		text := l.CheckString(1)
		if field == "err" && !strings.Contains(text, " ") {
			text = "ERR " + text
		}
		t := l.NewTable()
		t.RawSetString(field, lua.LString(text))
		l.Push(t)
		return 1
	}
}

// read turns an answer of Redis into what a script sees.
func read(l *lua.LState, b []byte) (lua.LValue, []byte, error) {
	line, rest, whole := bytes.Cut(b, []byte("\r\n"))
	if !whole || len(line) == 0 {
		return nil, nil, errors.New("cut off")
	}
	text := string(line[1:])
	switch line[0] {
	case '-':
		return nil, rest, errors.New(text)
	case '+':
		t := l.NewTable()
		t.RawSetString("ok", lua.LString(text))
		return t, rest, nil
	}
	n, err := strconv.Atoi(text)
	switch {
	case err != nil:
		return nil, nil, err
	case line[0] == ':':
		return lua.LNumber(n), rest, nil
	case n < 0:
		return lua.LFalse, rest, nil
	case line[0] == '$':
		return lua.LString(rest[:n]), rest[n+2:], nil
	}
	t := l.CreateTable(n, 0)
	for range n {
		var value lua.LValue
		if value, rest, err = read(l, rest); err != nil {
			return nil, nil, err
		}
		t.Append(value)
	}
	return t, rest, nil
}

// write turns what a script returned into an answer.
func write(c *server.Peer, value lua.LValue) {
	switch v := value.(type) {
	case lua.LNumber:
		c.WriteInt(int(v))
	case lua.LString:
		c.WriteBulk(string(v))
	case lua.LBool:
		if v {
			c.WriteInt(1)
			return
		}
		c.WriteNull()
	case *lua.LTable:
		if err := v.RawGetString("err"); err != lua.LNil {
			c.WriteError(err.String())
			return
		}
		if ok := v.RawGetString("ok"); ok != lua.LNil {
			c.WriteInline(ok.String())
			return
		}
		c.WriteLen(v.Len())
		for n := 1; n <= v.Len(); n++ {
			write(c, v.RawGetInt(n))
		}
	default:
		c.WriteNull()
	}
}
