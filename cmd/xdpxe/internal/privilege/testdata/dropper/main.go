// Dropper gives up all capabilities but CAP_NET_RAW and CAP_BPF and prints what
// each of its threads, and a program that it executes, has left.
package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/xdpxe/xdpxe/cmd/xdpxe/internal/privilege"
)

func main() {
	// Threads that exist before: each goroutine keeps one.
	ready, hold := make(chan bool), make(chan bool)
	for range 4 {
		go func() {
			runtime.LockOSThread()
			ready <- true
			<-hold
		}()
	}
	for range 4 {
		<-ready
	}
	if err := privilege.Drop(privilege.SetOf(privilege.NetRaw, privilege.BPF)); err != nil {
		fmt.Println("drop:", err)
		os.Exit(1)
	}
	// And one that is made afterwards.
	go func() {
		runtime.LockOSThread()
		ready <- true
		<-hold
	}()
	<-ready
	have, err := privilege.Have()
	fmt.Println("have:", have, err)
	tasks, _ := filepath.Glob("/proc/self/task/*/status")
	for _, task := range tasks {
		show("thread", task)
	}
	cmd := exec.Command("cat", "/proc/self/status")
	out, err := cmd.Output()
	if err != nil {
		fmt.Println("exec:", err)
		os.Exit(1)
	}
	printCaps("child", string(out))
}

func show(who, path string) {
	status, err := os.ReadFile(path)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	printCaps(who, string(status))
}

func printCaps(who, status string) {
	sc := bufio.NewScanner(strings.NewReader(status))
	for sc.Scan() {
		key, value, _ := strings.Cut(sc.Text(), ":")
		if strings.HasPrefix(key, "Cap") || key == "NoNewPrivs" {
			fmt.Println(who, key, strings.TrimSpace(value))
		}
	}
}
