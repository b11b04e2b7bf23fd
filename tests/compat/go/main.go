// The Go clients as a program that answers calls until its input ends: a JSON object a line in, one a line out.
//
//	{"client": "franz-go", "call": "produce", "bootstrap": "127.0.0.1:9092", "topic": …}
//	{"result": …}  or  {"error": {"code": 10, "detail": "…"}}
//
// Bytes are base64, null is null. `code` is Kafka's error code, or null where the client failed by itself.
// tests/support/clients/probe.py is the other side. A call opens a client of its own and closes it.
// With `member` as the first argument it is a member of a group instead: see member.go.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

const callTimeout = 30 * time.Second

type header struct {
	Name  string `json:"name"`
	Value []byte `json:"value"`
}

type message struct {
	Key         []byte   `json:"key"`
	Value       []byte   `json:"value"`
	TimestampMs int64    `json:"timestamp_ms"`
	Headers     []header `json:"headers"`
}

type received struct {
	Partition int32   `json:"partition"`
	Offset    int64   `json:"offset"`
	Message   message `json:"message"`
}

// request holds the arguments of every call; each call uses those it knows.
type request struct {
	Client         string             `json:"client"`
	Call           string             `json:"call"`
	Bootstrap      string             `json:"bootstrap"`
	Topic          string             `json:"topic"`
	Partition      int32              `json:"partition"`
	Partitions     []int32            `json:"partitions"`
	Messages       []message          `json:"messages"`
	Acks           string             `json:"acks"`
	Codec          string             `json:"codec"`
	Idempotent     bool               `json:"idempotent"`
	MaxRequestSize int32              `json:"max_request_size"`
	Count          int                `json:"count"`
	At             string             `json:"at"`
	Argument       int64              `json:"argument"`
	Isolation      string             `json:"isolation"`
	Reset          string             `json:"reset"`
	TimeoutMs      int64              `json:"timeout_ms"`
	Configs        map[string]*string `json:"configs"`
	Deleted        []string           `json:"deleted"`
	Kind           string             `json:"kind"`
	Name           string             `json:"name"`
	Before         int64              `json:"before"`
}

// setting is one configuration value; source is Kafka's number, read_only null where the client does not tell.
type setting struct {
	Value     *string `json:"value"`
	Source    int8    `json:"source"`
	ReadOnly  *bool   `json:"read_only"`
	Sensitive bool    `json:"sensitive"`
}

type node struct {
	ID   int32  `json:"id"`
	Host string `json:"host"`
	Port int32  `json:"port"`
}

type clusterView struct {
	ClusterID *string `json:"cluster_id"`
	Nodes     []node  `json:"nodes"`
}

type partitionView struct {
	Partition int32 `json:"partition"`
	Leader    int32 `json:"leader"`
}

type dirSize struct {
	Dir       string `json:"dir"`
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Size      int64  `json:"size"`
}

type producerView struct {
	ID           int64 `json:"id"`
	Epoch        int32 `json:"epoch"`
	LastSequence int32 `json:"last_sequence"`
}

// outcome is the error code of one partition; 0 is none.
type outcome struct {
	Partition int32 `json:"partition"`
	Code      int16 `json:"code"`
}

type call func(*request) (any, error)

var clients = map[string]map[string]call{
	"franz-go":       franzCalls,
	"sarama":         saramaCalls,
	"sarama-default": saramaCalls,
}

type failure struct {
	Code   *int16 `json:"code"`
	Detail string `json:"detail"`
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "member" {
		os.Exit(runMember(os.Args[2:]))
	}
	input, output := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		var asked request
		err := input.Decode(&asked)
		if errors.Is(err, io.EOF) {
			return
		}
		if err == nil {
			err = output.Encode(answer(&asked))
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

func answer(asked *request) map[string]any {
	known, ok := clients[asked.Client][asked.Call]
	if !ok {
		return map[string]any{"error": failure{nil, asked.Client + " has no call " + asked.Call}}
	}
	result, err := known(asked)
	if err != nil {
		return map[string]any{"error": failure{errorCode(err), err.Error()}}
	}
	return map[string]any{"result": result}
}

// errorCode asks each library for Kafka's code.
func errorCode(err error) *int16 {
	if code := franzErrorCode(err); code != nil {
		return code
	}
	return saramaErrorCode(err)
}
