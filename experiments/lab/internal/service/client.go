package service

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"lab/internal/metrics"
)

// upstreamHTTP is shared by all clients of this process.
var upstreamHTTP = &http.Client{
	Timeout: 2 * time.Second,
	Transport: &http.Transport{
		DialContext:           (&net.Dialer{Timeout: 300 * time.Millisecond, KeepAlive: 15 * time.Second}).DialContext,
		ResponseHeaderTimeout: 2 * time.Second,
		MaxIdleConns:          256,
		MaxIdleConnsPerHost:   128,
		IdleConnTimeout:       30 * time.Second, // shorter than IdleTimeout of the servers
	},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// Client calls another service of the lab.
type Client struct {
	name, base string
	requests   *metrics.CounterVec
}

// NewClient returns a client of the service name at a base URL.
func NewClient(r *metrics.Registry, name, base string) *Client {
	requests := metrics.NewCounterVec(r, "http_client_requests_total",
		"Requests sent, each try counted; 504 stands for no answer in time, 502 for none at all.", "code", "upstream")
	requests.With("200", name)
	return &Client{name, strings.TrimSuffix(base, "/"), requests}
}

// Post sends in as JSON and reads the answer into out. A failure of the other
// service becomes a 502 for our caller; a bad request stays one.
func (c *Client) Post(ctx context.Context, path string, in, out any) error {
	resp, err := c.send(ctx, path, in)
	c.count(ctx, resp)
	if err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("%s did not answer in time: %w", c.name, ctx.Err())
		}
		return Fail(http.StatusBadGateway, "%s cannot be reached: %v", c.name, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	switch {
	case err != nil:
		return Fail(http.StatusBadGateway, "%s broke off its answer: %v", c.name, err)
	case resp.StatusCode == http.StatusBadRequest:
		return Fail(http.StatusBadRequest, "%s", reason(body))
	case resp.StatusCode != http.StatusOK:
		return &Error{http.StatusBadGateway, fmt.Sprintf("%s answered %d: %s", c.name, resp.StatusCode, reason(body)), resp.StatusCode}
	}
	if err := json.Unmarshal(body, out); err != nil {
		return Fail(http.StatusBadGateway, "%s sent malformed JSON: %v", c.name, err)
	}
	return nil
}

func (c *Client) count(ctx context.Context, resp *http.Response) {
	code := http.StatusBadGateway
	switch {
	case resp != nil:
		code = resp.StatusCode
	case errors.Is(ctx.Err(), context.Canceled):
		code = codeGone
	case ctx.Err() != nil:
		code = http.StatusGatewayTimeout
	}
	c.requests.With(strconv.Itoa(code), c.name).Inc()
}

func (c *Client) send(ctx context.Context, path string, in any) (*http.Response, error) {
	body, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set(requestIDHeader, requestID(ctx))
	return upstreamHTTP.Do(req)
}

// reason is the sentence of an error answer.
func reason(body []byte) string {
	var answer struct {
		Error string `json:"error"`
	}
	if json.Unmarshal(body, &answer) != nil || answer.Error == "" {
		return "no reason given"
	}
	return answer.Error
}
