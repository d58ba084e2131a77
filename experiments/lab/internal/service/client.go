package service

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
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
type Client struct{ name, base string }

// NewClient returns a client of the service name at a base URL.
func NewClient(name, base string) *Client {
	return &Client{name, strings.TrimSuffix(base, "/")}
}

// Post sends in as JSON and reads the answer into out. A failure of the other
// service becomes a 502 for our caller; a bad request stays one.
func (c *Client) Post(ctx context.Context, path string, in, out any) error {
	resp, err := c.send(ctx, path, in)
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
		return Fail(http.StatusBadGateway, "%s answered %d: %s", c.name, resp.StatusCode, reason(body))
	}
	if err := json.Unmarshal(body, out); err != nil {
		return Fail(http.StatusBadGateway, "%s sent malformed JSON: %v", c.name, err)
	}
	return nil
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
