package main

import (
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

// grpcServer offers services whose every call the test answers, the peer registry's aside where it has one.
type grpcServer struct {
	channel  *lines
	server   *grpc.Server
	registry *peerRegistry
	mu       sync.Mutex
	next     int
	calls    map[int]*openCall
}

// openCall is a call that the test has been told of and has not ended.
type openCall struct {
	response protoreflect.MessageDescriptor
	// Messages to send; a unary call takes one.
	messages chan *dynamicpb.Message
	// The end of the call: nil is OK.
	end chan error
	// Closed when the client is gone or the call has ended.
	done <-chan struct{}
}

func grpcServerCommands(channel *lines) commands {
	server := &grpcServer{channel: channel, calls: map[int]*openCall{}}
	return commands{
		"listen":           command(server.listen),
		"send":             command(server.send),
		"end":              command(server.end),
		"stop":             command(server.stop),
		"registry-rows":    ofRegistry(server, (*peerRegistry).shown),
		"registry-put":     ofRegistry(server, (*peerRegistry).put),
		"registry-ban":     ofRegistry(server, (*peerRegistry).ban),
		"registry-unban":   ofRegistry(server, (*peerRegistry).unban),
		"registry-reasons": ofRegistry(server, (*peerRegistry).reasons),
		"registry-clear":   ofRegistry(server, (*peerRegistry).forget),
		"registry-behave":  ofRegistry(server, (*peerRegistry).behave),
		"registry-counts":  ofRegistry(server, (*peerRegistry).counted),
		"registry-calls":   ofRegistry(server, (*peerRegistry).requests),
	}
}

// ofRegistry is a command about the registry; before the server listens with one there is none.
func ofRegistry[A any](s *grpcServer, do func(*peerRegistry, A) (any, error)) func(json.RawMessage) (any, error) {
	return command(func(arguments A) (any, error) {
		s.mu.Lock()
		registry := s.registry
		s.mu.Unlock()
		if registry == nil {
			return nil, errors.New("no registry: listen with one first")
		}
		return do(registry, arguments)
	})
}

func (s *grpcServer) listen(arguments struct {
	Address     string   `json:"address"`
	Descriptors string   `json:"descriptors"`
	Services    []string `json:"services"`
	// Files of TLS; plain without. With a client authority, clients need a certificate of its.
	Certificate string `json:"certificate"`
	Key         string `json:"key"`
	ClientCA    string `json:"clientCa"`
	// Wanted with every call but HealthGRPC.
	APIKey string `json:"apiKey"`
	// Registry answers the calls of PeerRegistryService from memory; one that was there before goes on.
	Registry bool `json:"registry"`
}) (any, error) {
	known, err := readContracts(arguments.Descriptors)
	if err != nil {
		return nil, err
	}
	if arguments.Registry {
		if err := s.addRegistry(known); err != nil {
			return nil, err
		}
	}
	options := []grpc.ServerOption{grpc.MaxRecvMsgSize(maxMessage), grpc.MaxSendMsgSize(maxMessage)}
	if arguments.Certificate != "" {
		secured, err := serverTLS(arguments.Certificate, arguments.Key, arguments.ClientCA)
		if err != nil {
			return nil, err
		}
		options = append(options, grpc.Creds(credentials.NewTLS(secured)))
	}
	if arguments.APIKey != "" {
		options = append(options, grpc.StreamInterceptor(requireKey(arguments.APIKey)))
	}
	s.server = grpc.NewServer(options...)
	for _, name := range arguments.Services {
		service, err := known.service(name)
		if err != nil {
			return nil, err
		}
		s.server.RegisterService(s.describe(service), nil)
	}
	listener, err := net.Listen("tcp", arguments.Address)
	if err != nil {
		return nil, err
	}
	go s.server.Serve(listener)
	return listener.Addr().String(), nil
}

func (s *grpcServer) addRegistry(known *contracts) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.registry != nil {
		return nil
	}
	var err error
	s.registry, err = newPeerRegistry(known)
	return err
}

// requireKey refuses calls as the newest of Teranode's services do.
func requireKey(key string) grpc.StreamServerInterceptor {
	return func(service any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
		if strings.HasSuffix(info.FullMethod, "/HealthGRPC") {
			return handler(service, stream)
		}
		sent, _ := metadata.FromIncomingContext(stream.Context())
		keys := sent.Get("x-api-key")
		if len(keys) == 0 {
			return status.Error(codes.Unauthenticated, "missing API key")
		}
		if len(keys) != 1 || subtle.ConstantTimeCompare([]byte(keys[0]), []byte(key)) != 1 {
			return status.Error(codes.Unauthenticated, "invalid API key")
		}
		return handler(service, stream)
	}
}

func serverTLS(certificate, key, clientCA string) (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(certificate, key)
	if err != nil {
		return nil, err
	}
	config := &tls.Config{Certificates: []tls.Certificate{pair}}
	if clientCA == "" {
		return config, nil
	}
	text, err := os.ReadFile(clientCA)
	if err != nil {
		return nil, err
	}
	config.ClientCAs = x509.NewCertPool()
	if !config.ClientCAs.AppendCertsFromPEM(text) {
		return nil, errors.New("no certificate in " + clientCA)
	}
	config.ClientAuth = tls.RequireAndVerifyClientCert
	return config, nil
}

// describe makes every method a stream to grpc-go: on the wire a unary call is one with a single message each way.
func (s *grpcServer) describe(service protoreflect.ServiceDescriptor) *grpc.ServiceDesc {
	description := &grpc.ServiceDesc{ServiceName: string(service.FullName()), HandlerType: (*any)(nil)}
	for at := range service.Methods().Len() {
		method := service.Methods().Get(at)
		description.Streams = append(description.Streams, grpc.StreamDesc{
			StreamName:    string(method.Name()),
			ServerStreams: true,
			Handler:       func(_ any, stream grpc.ServerStream) error { return s.handle(method, stream) },
		})
	}
	return description
}

func (s *grpcServer) handle(method protoreflect.MethodDescriptor, stream grpc.ServerStream) error {
	request := dynamicpb.NewMessage(method.Input())
	if err := stream.RecvMsg(request); err != nil {
		return err
	}
	s.mu.Lock()
	registry := s.registry
	s.mu.Unlock()
	if registry != nil && method.Parent().FullName() == registryService {
		response, err := registry.serve(stream.Context(), method, request)
		if err != nil {
			return err
		}
		return stream.SendMsg(response)
	}
	text, err := toJSON(request)
	if err != nil {
		return err
	}
	call := &openCall{
		response: method.Output(),
		messages: make(chan *dynamicpb.Message),
		end:      make(chan error, 1),
		done:     stream.Context().Done(),
	}
	s.mu.Lock()
	s.next++
	id := s.next
	s.calls[id] = call
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.calls, id)
		s.mu.Unlock()
	}()
	s.channel.event("call", map[string]any{"call": id, "method": string(method.Name()), "message": text})
	for {
		select {
		case message := <-call.messages:
			if err := stream.SendMsg(message); err != nil {
				return err
			}
		case err := <-call.end:
			return err
		case <-call.done:
			s.channel.event("gone", map[string]any{"call": id})
			return stream.Context().Err()
		}
	}
}

func (s *grpcServer) open(id int) (*openCall, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if call, ok := s.calls[id]; ok {
		return call, nil
	}
	return nil, fmt.Errorf("no open call %d", id)
}

// send sends messages in order; it answers when the last is handed to the transport.
func (s *grpcServer) send(arguments struct {
	Call     int               `json:"call"`
	Messages []json.RawMessage `json:"messages"`
}) (any, error) {
	call, err := s.open(arguments.Call)
	if err != nil {
		return nil, err
	}
	for _, text := range arguments.Messages {
		message, err := toMessage(call.response, text)
		if err != nil {
			return nil, err
		}
		select {
		case call.messages <- message:
		case <-call.done:
			return nil, errors.New("the client is gone")
		}
	}
	return nil, nil
}

// end ends a call with a status; 0 is OK.
func (s *grpcServer) end(arguments struct {
	Call    int    `json:"call"`
	Code    uint32 `json:"code"`
	Details string `json:"details"`
}) (any, error) {
	call, err := s.open(arguments.Call)
	if err != nil {
		return nil, err
	}
	call.end <- status.Error(codes.Code(arguments.Code), arguments.Details)
	return nil, nil
}

// stop cuts every connection.
func (s *grpcServer) stop(struct{}) (any, error) {
	s.server.Stop()
	return nil, nil
}
