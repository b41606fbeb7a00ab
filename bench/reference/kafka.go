package main

import (
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"
	"github.com/rcrowley/go-metrics"
)

// queued records wait for sarama; more are dropped.
const queued = 10

type record struct{ key, value []byte }

// producer hands records to sarama through one channel, and drops when that is full.
type producer struct {
	topic   string
	records chan record
	async   sarama.AsyncProducer
	dropped atomic.Int64
}

// newProducer reads a URL as the Go service does, with its defaults for what is not given. The topic must exist.
func newProducer(text string) (*producer, error) {
	target, err := url.Parse(text)
	if err != nil {
		return nil, err
	}
	// As the Go service does: otherwise sarama's histograms grow.
	metrics.UseNilMetrics = true
	config := sarama.NewConfig()
	query := target.Query()
	if config.Producer.Flush.Bytes, err = number(query, "flush_bytes", 1<<20); err != nil {
		return nil, err
	}
	if config.Producer.Flush.Messages, err = number(query, "flush_messages", 50_000); err != nil {
		return nil, err
	}
	config.Producer.Flush.Frequency = 10 * time.Second
	if given := query.Get("flush_frequency"); given != "" {
		if config.Producer.Flush.Frequency, err = time.ParseDuration(given); err != nil {
			return nil, err
		}
	}
	async, err := sarama.NewAsyncProducer(strings.Split(target.Host, ","), config)
	if err != nil {
		return nil, err
	}
	p := &producer{topic: strings.TrimPrefix(target.Path, "/"), records: make(chan record, queued), async: async}
	go func() {
		for failed := range async.Errors() {
			fmt.Fprintln(os.Stderr, "kafka:", failed.Err)
		}
	}()
	go p.run()
	return p, nil
}

func number(query url.Values, name string, otherwise int) (int, error) {
	if text := query.Get(name); text != "" {
		return strconv.Atoi(text)
	}
	return otherwise, nil
}

func (p *producer) run() {
	for r := range p.records {
		p.async.Input() <- &sarama.ProducerMessage{
			Topic: p.topic, Key: sarama.ByteEncoder(r.key), Value: sarama.ByteEncoder(r.value),
		}
	}
}

func (p *producer) publish(key, value []byte) {
	select {
	case p.records <- record{key, value}:
	default:
		p.dropped.Add(1)
	}
}

// close waits for what sarama has taken.
func (p *producer) close() { _ = p.async.Close() }
