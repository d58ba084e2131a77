package main

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

// quote asks a slow forwarder for a price.
func quote(tonnes int, patience time.Duration) (int, error) {
	price := make(chan int)
	go func() {
		time.Sleep(5 * patience)
		price <- tonnes * 31 // ROOT manifest_quote
	}()
	select {
	case p := <-price:
		return p, nil
	case <-time.After(patience):
		return 0, errors.New("no price in time")
	}
}

// case manifest_quote: chan_send_no_receiver, kernel2
func checkQuote() {
	if _, err := quote(7, 2*time.Millisecond); err == nil {
		panic("too fast")
	}
}

type inspection struct {
	problems chan error
	crates   []string
}

func (i *inspection) weigh() {
	for _, crate := range i.crates {
		if len(crate) > 4 {
			i.problems <- fmt.Errorf("%s is heavy", crate)
			return
		}
	}
	i.problems <- nil
}

func (i *inspection) sniff() {
	time.Sleep(9 * time.Millisecond)
	if strings.Contains(strings.Join(i.crates, " "), "tea") {
		i.problems <- errors.New("tea") // ROOT manifest_customs
		return
	}
	i.problems <- nil
}

func (i *inspection) run() error {
	go i.weigh()
	go i.sniff() // CREATED manifest_customs
	for range 2 {
		if err := <-i.problems; err != nil {
			return err
		}
	}
	return nil
}

// case manifest_customs: chan_send_no_receiver, kernel2
func checkCustoms() {
	i := inspection{make(chan error), []string{"tea", "anchors"}}
	fmt.Println(i.run())
}

// case manifest_stages: chan_send_no_receiver, kernel2
func checkStages() {
	var stages sync.WaitGroup
	lines, parsed := make(chan string), make(chan []string)
	stages.Add(2)
	go func() {
		defer stages.Done()
		defer close(lines)
		for i := range 9 {
			lines <- fmt.Sprint("crate ", i) // VICTIM manifest_stages
		}
	}()
	go func() {
		defer stages.Done()
		defer close(parsed)
		for line := range lines {
			parsed <- strings.Fields(line) // ROOT manifest_stages
		}
	}()
	for fields := range parsed {
		if fields[1] == "2" {
			fmt.Println("crate 2 is refused")
			break
		}
	}
	stages.Wait() // VICTIM manifest_stages
}
