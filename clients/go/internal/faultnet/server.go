// Package faultnet serves HTTP/2 on a loopback port that can be killed, served again and frozen, as a
// process can.
package faultnet

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
)

// Server is an HTTP/2 server with faults. Its methods may be called from any goroutine.
type Server struct {
	handler http.Handler
	// OnRead, if set before the first connection, gets all bytes that arrive, in their order.
	OnRead func([]byte)
	// TLS is the configuration of TLS; nil: none.
	TLS *tls.Config

	mu       sync.Mutex
	address  string
	listener net.Listener
	http     *http.Server
	gate     *gate
	ended    chan struct{}
}

// Listen serves on a free port of the loopback address; over TLS, if tlsConfig is not nil.
func Listen(handler http.Handler, tlsConfig *tls.Config) (*Server, error) {
	address, err := FreeAddress()
	if err != nil {
		return nil, err
	}
	s := &Server{handler: handler, address: address, TLS: tlsConfig}
	return s, s.Serve()
}

// Ports below those that systems give to who asks for any: no other process gets one between two runs
// of a server: from 32768 on Linux, 49152 elsewhere.
const firstPort, endPort, portTries = 20_000, 32_768, 100

// FreeAddress is a loopback address with a port on which nobody listens now. It fails when none of
// portTries ports is free.
func FreeAddress() (string, error) {
	var err error
	for range portTries {
		port := firstPort + rand.IntN(endPort-firstPort)
		var listener net.Listener
		if listener, err = net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			return listener.Addr().String(), listener.Close()
		}
	}
	return "", fmt.Errorf("no port is free: %w", err)
}

// Address is the server's host:port, which it keeps.
func (s *Server) Address() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.address
}

// Serve begins to serve, after New or Kill.
func (s *Server) Serve() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener != nil {
		return errors.New("the server is serving already")
	}
	listener, err := net.Listen("tcp", s.address)
	if err != nil {
		return fmt.Errorf("cannot listen on %s: %w", s.address, err)
	}
	s.address = listener.Addr().String()
	s.gate = newGate()
	s.listener = &gatedListener{Listener: listener, gate: s.gate, onRead: s.OnRead}
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(s.TLS == nil)
	protocols.SetHTTP2(s.TLS != nil)
	s.http = &http.Server{
		Handler: s.handler, Protocols: protocols, TLSConfig: s.TLS,
		ErrorLog: log.New(io.Discard, "", 0), // broken connections are what it is for
	}
	s.ended = make(chan struct{})
	go func(server *http.Server, on net.Listener, ended chan struct{}) {
		defer close(ended)
		// Both end with an error always: Kill has closed the listener.
		if server.TLSConfig != nil {
			_ = server.ServeTLS(on, "", "")
		} else {
			_ = server.Serve(on)
		}
	}(s.http, s.listener, s.ended)
	return nil
}

// Kill closes the port and all connections at once.
func (s *Server) Kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener == nil {
		return
	}
	s.gate.open()
	_ = s.http.Close()
	<-s.ended
	s.listener = nil
}

// Freeze stops reading and writing, as a stopped process does: connections are accepted by the
// kernel and never answered.
func (s *Server) Freeze() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gate.close()
}

// Thaw ends a freeze.
func (s *Server) Thaw() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gate.open()
}

// gate is passed while it is open.
type gate struct {
	mu     sync.Mutex
	opened chan struct{}
	isOpen bool
}

func newGate() *gate {
	g := &gate{opened: make(chan struct{}), isOpen: true}
	close(g.opened)
	return g
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.isOpen {
		g.isOpen = true
		close(g.opened)
	}
}

func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.isOpen {
		g.isOpen = false
		g.opened = make(chan struct{})
	}
}

func (g *gate) pass() {
	g.mu.Lock()
	opened := g.opened
	g.mu.Unlock()
	<-opened
}

type gatedListener struct {
	net.Listener
	gate   *gate
	onRead func([]byte)
}

func (l *gatedListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &gatedConn{Conn: conn, gate: l.gate, onRead: l.onRead}, nil
}

type gatedConn struct {
	net.Conn
	gate   *gate
	onRead func([]byte)
}

func (c *gatedConn) Read(to []byte) (int, error) {
	n, err := c.Conn.Read(to)
	c.gate.pass()
	if c.onRead != nil {
		c.onRead(to[:n])
	}
	return n, err
}

func (c *gatedConn) Write(from []byte) (int, error) {
	c.gate.pass()
	return c.Conn.Write(from)
}
