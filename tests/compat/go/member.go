// A consumer in a group as a process of its own: `probe member CLIENT BOOTSTRAP GROUP TOPIC [name=value …]`.
//
// What it takes and what it tells is the same for every client: see tests/support/group_member.py.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	memberHeartbeat = 300 * time.Millisecond
	// At most so long between two attempts; by themselves clients wait ever longer.
	memberBackoff = 200 * time.Millisecond
	// A commit that takes longer is given up: whoever gets the partition reads it again.
	memberCommit = 10 * time.Second
)

// membership is what a member was started with, and the share of the partitions that it has.
type membership struct {
	client    string
	bootstrap string
	group     string
	topic     string
	options   map[string]string

	mutex sync.Mutex
	owned []int32
}

// members return when the context ends, after they have left, or with what ended them.
var members = map[string]func(context.Context, *membership) error{
	"franz-go":          franzMember,
	"franz-go-consumer": franzMember,
	"sarama":            saramaMember,
	"sarama-default":    saramaMember,
}

func runMember(arguments []string) int {
	if len(arguments) < 4 || members[arguments[0]] == nil {
		fmt.Fprintln(os.Stderr, "member CLIENT BOOTSTRAP GROUP TOPIC [name=value …]")
		return 2
	}
	asked := &membership{
		client: arguments[0], bootstrap: arguments[1], group: arguments[2], topic: arguments[3],
		options: map[string]string{},
	}
	for _, option := range arguments[4:] {
		name, value, _ := strings.Cut(option, "=")
		asked.options[name] = value
	}
	untilTold, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := members[asked.client](untilTold, asked); err != nil {
		asked.tell("failed", err)
		return 1
	}
	asked.tell("left")
	return 0
}

func (asked *membership) sessionTimeout() time.Duration {
	milliseconds, err := strconv.Atoi(asked.options["session"])
	if err != nil {
		milliseconds = 10_000
	}
	return time.Duration(milliseconds) * time.Millisecond
}

func (asked *membership) tell(words ...any) {
	asked.mutex.Lock()
	defer asked.mutex.Unlock()
	fmt.Println(words...)
}

// mention is for whoever looks at a test that failed.
func (asked *membership) mention(err error) {
	fmt.Fprintln(os.Stderr, time.Now().Format("15:04:05.000"), err)
}

// own tells the share after a change: without what went, with what came.
func (asked *membership) own(came []int32, went []int32) {
	asked.mutex.Lock()
	defer asked.mutex.Unlock()
	asked.owned = slices.DeleteFunc(asked.owned, func(each int32) bool {
		return slices.Contains(went, each) || slices.Contains(came, each)
	})
	asked.owned = append(asked.owned, came...)
	slices.Sort(asked.owned)
	fmt.Println("assigned", strings.ReplaceAll(strings.Trim(fmt.Sprint(asked.owned), "[]"), " ", ","))
}
