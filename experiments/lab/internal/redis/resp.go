package redis

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// Error is an error reply of the server, such as "ERR unknown command".
type Error string

func (e Error) Error() string { return "redis: " + string(e) }

// errProtocol means that the peer does not speak RESP2.
var errProtocol = errors.New("redis: malformed reply")

// maxBulk is the longest bulk string and the longest array that is accepted.
const maxBulk = 1 << 20

// appendCommand adds a command as an array of bulk strings.
func appendCommand(dst []byte, args []string) []byte {
	dst = fmt.Appendf(dst, "*%d\r\n", len(args))
	for _, arg := range args {
		dst = fmt.Appendf(dst, "$%d\r\n%s\r\n", len(arg), arg)
	}
	return dst
}

// readReply reads one reply: string, int64, nil, []any or Error as a value.
// The error is for the connection only.
func readReply(r *bufio.Reader) (any, error) {
	kind, line, err := readLine(r)
	if err != nil {
		return nil, err
	}
	switch kind {
	case '+':
		return line, nil
	case '-':
		return Error(line), nil
	case ':':
		return parseInt(line)
	case '$':
		return readBulk(r, line)
	case '*':
		return readArray(r, line)
	}
	return nil, errProtocol
}

func readLine(r *bufio.Reader) (kind byte, line string, err error) {
	raw, err := r.ReadSlice('\n')
	if err != nil {
		return 0, "", err
	}
	if len(raw) < 3 || raw[len(raw)-2] != '\r' {
		return 0, "", errProtocol
	}
	return raw[0], string(raw[1 : len(raw)-2]), nil
}

func readBulk(r *bufio.Reader, line string) (any, error) {
	size, err := parseSize(line)
	if err != nil || size < 0 {
		return nil, err
	}
	body := make([]byte, size+2)
	if _, err := io.ReadFull(r, body); err != nil {
		return nil, err
	}
	return string(body[:size]), nil
}

func readArray(r *bufio.Reader, line string) (any, error) {
	size, err := parseSize(line)
	if err != nil || size < 0 {
		return nil, err
	}
	items := make([]any, size)
	for i := range items {
		if items[i], err = readReply(r); err != nil {
			return nil, err
		}
	}
	return items, nil
}

// parseSize reads a length; -1 stands for nil.
func parseSize(line string) (int64, error) {
	n, err := parseInt(line)
	if err != nil || n < -1 || n > maxBulk {
		return 0, errProtocol
	}
	return n, nil
}

func parseInt(line string) (int64, error) {
	n, err := strconv.ParseInt(line, 10, 64)
	if err != nil {
		return 0, errProtocol
	}
	return n, nil
}
