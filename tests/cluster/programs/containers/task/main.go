// Command task is what the containers of tests run where a shell will not do. It is linked statically, so an image needs
// no other file.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

func main() {
	argument := func(n int) string {
		if n < len(os.Args) {
			return os.Args[n]
		}
		return ""
	}
	var err error
	switch argument(1) {
	case "pause":
		pause()
	case "serve":
		err = serve(argument(2))
	case "get":
		err = get(argument(2))
	case "allocate":
		err = allocate(argument(2))
	default:
		err = errors.New("task pause | serve ANSWER | get URL | allocate MEBIBYTES")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "task:", err)
		os.Exit(1)
	}
}

// pause keeps the namespaces of a pod alive until it is asked to stop.
func pause() {
	<-stop()
}

// serve answers every request on port 8080 with the same words, half a second after it came; /health at once. Asked to
// stop, it takes no new connections, and ends when those that there are have been answered.
func serve(answer string) error {
	server := &http.Server{Addr: ":8080", Handler: http.HandlerFunc(func(response http.ResponseWriter, request *http.Request) {
		if request.URL.Path != "/health" {
			time.Sleep(500 * time.Millisecond)
		}
		fmt.Fprintln(response, answer)
	})}
	stopped := make(chan error)
	go func() {
		<-stop()
		stopped <- server.Shutdown(context.Background())
	}()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-stopped
}

// get asks once, and fails if the answer is not one of success.
func get(url string) error {
	response, err := http.Get(url)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode >= 300 {
		return errors.New(response.Status)
	}
	_, err = io.Copy(os.Stdout, response.Body)
	return err
}

// allocate uses that much memory, a mebibyte at a time, and keeps it.
func allocate(mebibytes string) error {
	wanted, err := strconv.Atoi(mebibytes)
	if err != nil {
		return err
	}
	kept := make([][]byte, 0, wanted)
	for range wanted {
		block := make([]byte, 1<<20)
		for at := 0; at < len(block); at += os.Getpagesize() {
			block[at] = 1
		}
		kept = append(kept, block)
	}
	fmt.Println("allocated", len(kept))
	<-stop()
	return nil
}

func stop() <-chan os.Signal {
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGTERM, syscall.SIGINT)
	return asked
}
