package leanagg

import (
	"fmt"
	"net"
	"net/url"
	"strings"
)

// address is a parsed endpoint.
type address struct {
	// text is what the node gave.
	text string
	// base is the URL of the calls.
	base string
	// socket is the path of a Unix socket; empty: TCP.
	socket string
	isTLS  bool
}

// parseAddress reads "host:port", "http://host:port", "https://host:port" or "unix:/path". Without a
// scheme, hasTLS decides.
func parseAddress(text string, hasTLS bool) (address, error) {
	if path, isUnix := strings.CutPrefix(text, "unix:"); isUnix {
		path = strings.TrimPrefix(path, "//")
		if !strings.HasPrefix(path, "/") {
			return address{}, fmt.Errorf("endpoint %q has no absolute path; write unix:/path", text)
		}
		return address{text: text, base: "http://localhost", socket: path}, nil
	}
	full := text
	if !strings.Contains(text, "://") {
		full = "http://" + text
		if hasTLS {
			full = "https://" + text
		}
	}
	parsed, err := url.Parse(full)
	switch {
	case err != nil:
		return address{}, fmt.Errorf("endpoint %q: %w; write host:port or unix:/path", text, err)
	case parsed.Scheme != "http" && parsed.Scheme != "https":
		return address{}, fmt.Errorf("endpoint %q has scheme %q, expected http, https or unix", text, parsed.Scheme)
	case parsed.Hostname() == "" || parsed.Port() == "":
		return address{}, fmt.Errorf("endpoint %q has no host or no port; write host:port", text)
	case strings.Trim(parsed.Path, "/") != "" || parsed.RawQuery != "" || parsed.User != nil:
		return address{}, fmt.Errorf("endpoint %q has more than a host and a port", text)
	}
	base := parsed.Scheme + "://" + parsed.Host
	return address{text: text, base: base, isTLS: parsed.Scheme == "https"}, nil
}

// isPrivate reports whether a token may go there: over TLS, to loopback or to a Unix socket.
func (a address) isPrivate() bool {
	if a.isTLS || a.socket != "" {
		return true
	}
	parsed, err := url.Parse(a.base)
	if err != nil {
		return false
	}
	host := parsed.Hostname()
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
