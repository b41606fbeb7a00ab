package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/reflection/grpc_reflection_v1alpha"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

// maxMessage is what a Teranode's services take.
const maxMessage = 1 << 30

// contracts are the services of the repository's proto folder, read from the descriptors that buf has compiled.
type contracts struct {
	files *protoregistry.Files
}

func readContracts(path string) (*contracts, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var set descriptorpb.FileDescriptorSet
	if err := proto.Unmarshal(data, &set); err != nil {
		return nil, err
	}
	files, err := protodesc.NewFiles(&set)
	return &contracts{files}, err
}

func (c *contracts) service(name string) (protoreflect.ServiceDescriptor, error) {
	found, err := c.files.FindDescriptorByName(protoreflect.FullName(name))
	if err != nil {
		return nil, err
	}
	service, ok := found.(protoreflect.ServiceDescriptor)
	if !ok {
		return nil, fmt.Errorf("%s is no service", name)
	}
	return service, nil
}

func (c *contracts) method(service, name string) (protoreflect.MethodDescriptor, error) {
	descriptor, err := c.service(service)
	if err != nil {
		return nil, err
	}
	method := descriptor.Methods().ByName(protoreflect.Name(name))
	if method == nil {
		return nil, fmt.Errorf("%s has no %s", service, name)
	}
	return method, nil
}

// toMessage reads protobuf's JSON, in which 64-bit integers are strings; fields that the contract does not have are errors.
func toMessage(kind protoreflect.MessageDescriptor, text json.RawMessage) (*dynamicpb.Message, error) {
	message := dynamicpb.NewMessage(kind)
	if len(text) == 0 {
		return message, nil
	}
	return message, protojson.Unmarshal(text, message)
}

// toJSON shows every field by the contract's name, those at their default too.
func toJSON(message proto.Message) (json.RawMessage, error) {
	return protojson.MarshalOptions{UseProtoNames: true, EmitUnpopulated: true}.Marshal(message)
}

// grpcClient calls a server.
type grpcClient struct {
	contracts  *contracts
	connection *grpc.ClientConn
}

func grpcClientCommands(*lines) commands {
	client := &grpcClient{}
	return commands{
		"dial":       command(client.dial),
		"call":       command(client.call),
		"health":     command(client.health),
		"watch":      command(client.watch),
		"reflection": command(client.reflection),
	}
}

func (c *grpcClient) dial(arguments struct {
	Address     string `json:"address"`
	Descriptors string `json:"descriptors"`
}) (any, error) {
	var err error
	if c.contracts, err = readContracts(arguments.Descriptors); err != nil {
		return nil, err
	}
	c.connection, err = grpc.NewClient(arguments.Address,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage)))
	return nil, err
}

// outcome is how a call ended: with a message, or with a code other than OK.
type outcome struct {
	Code    string          `json:"code"`
	Details string          `json:"details"`
	Message json.RawMessage `json:"message"`
}

func failed(err error) outcome {
	state := status.Convert(err)
	return outcome{Code: state.Code().String(), Details: state.Message(), Message: json.RawMessage("null")}
}

func (c *grpcClient) call(arguments struct {
	Service   string            `json:"service"`
	Method    string            `json:"method"`
	Message   json.RawMessage   `json:"message"`
	Metadata  map[string]string `json:"metadata"`
	TimeoutMs int               `json:"timeoutMs"`
}) (any, error) {
	method, err := c.contracts.method(arguments.Service, arguments.Method)
	if err != nil {
		return nil, err
	}
	request, err := toMessage(method.Input(), arguments.Message)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(arguments.TimeoutMs)*time.Millisecond)
	defer cancel()
	ctx = metadata.NewOutgoingContext(ctx, metadata.New(arguments.Metadata))
	response := dynamicpb.NewMessage(method.Output())
	path := fmt.Sprintf("/%s/%s", arguments.Service, arguments.Method)
	if err := c.connection.Invoke(ctx, path, request, response); err != nil {
		return failed(err), nil
	}
	text, err := toJSON(response)
	return outcome{Code: codes.OK.String(), Message: text}, err
}

// health asks the standard health service once.
func (c *grpcClient) health(arguments struct {
	Service string `json:"service"`
}) (any, error) {
	answer, err := grpc_health_v1.NewHealthClient(c.connection).Check(context.Background(),
		&grpc_health_v1.HealthCheckRequest{Service: arguments.Service})
	if err != nil {
		return failed(err), nil
	}
	text, err := toJSON(answer)
	return outcome{Code: codes.OK.String(), Message: text}, err
}

// watch is told the first state that the standard health service streams.
func (c *grpcClient) watch(arguments struct {
	Service string `json:"service"`
}) (any, error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	stream, err := grpc_health_v1.NewHealthClient(c.connection).Watch(ctx,
		&grpc_health_v1.HealthCheckRequest{Service: arguments.Service})
	if err != nil {
		return nil, err
	}
	answer, err := stream.Recv()
	if err != nil {
		return failed(err), nil
	}
	text, err := toJSON(answer)
	return outcome{Code: codes.OK.String(), Message: text}, err
}

// reflected is what a server says of itself.
type reflected struct {
	Services []string `json:"services"`
	// Methods of the service asked for: name, request and response, as its own description has them.
	Methods [][3]string `json:"methods"`
	// Fields of the messages of that description: message, field, number and kind.
	Fields []string `json:"fields"`
}

// reflection reads a service's description from the server, in either version of the protocol.
func (c *grpcClient) reflection(arguments struct {
	Service string `json:"service"`
	Alpha   bool   `json:"alpha"`
}) (any, error) {
	ask, end, err := c.reflectionStream(arguments.Alpha)
	if err != nil {
		return nil, err
	}
	defer end()
	listed, err := ask(&grpc_reflection_v1.ServerReflectionRequest{
		MessageRequest: &grpc_reflection_v1.ServerReflectionRequest_ListServices{},
	})
	if err != nil {
		return nil, err
	}
	result := reflected{Services: []string{}, Methods: [][3]string{}, Fields: []string{}}
	for _, service := range listed.GetListServicesResponse().GetService() {
		result.Services = append(result.Services, service.GetName())
	}
	described, err := ask(&grpc_reflection_v1.ServerReflectionRequest{
		MessageRequest: &grpc_reflection_v1.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: arguments.Service},
	})
	if err != nil {
		return nil, err
	}
	if refusal := described.GetErrorResponse(); refusal != nil {
		return nil, errors.New(refusal.GetErrorMessage())
	}
	return result, result.describe(described.GetFileDescriptorResponse().GetFileDescriptorProto(), arguments.Service)
}

func (r *reflected) describe(files [][]byte, name string) error {
	var set descriptorpb.FileDescriptorSet
	for _, data := range files {
		var file descriptorpb.FileDescriptorProto
		if err := proto.Unmarshal(data, &file); err != nil {
			return err
		}
		set.File = append(set.File, &file)
	}
	registry, err := protodesc.NewFiles(&set)
	if err != nil {
		return err
	}
	service, err := (&contracts{registry}).service(name)
	if err != nil {
		return err
	}
	for at := range service.Methods().Len() {
		method := service.Methods().Get(at)
		r.Methods = append(r.Methods, [3]string{
			string(method.Name()), string(method.Input().FullName()), string(method.Output().FullName()),
		})
	}
	messages := service.ParentFile().Messages()
	for at := range messages.Len() {
		fields := messages.Get(at).Fields()
		for number := range fields.Len() {
			field := fields.Get(number)
			r.Fields = append(r.Fields, fmt.Sprintf("%s=%d %s", field.FullName(), field.Number(), field.Kind()))
		}
	}
	return nil
}

type reflectionAsk func(*grpc_reflection_v1.ServerReflectionRequest) (*grpc_reflection_v1.ServerReflectionResponse, error)

// reflectionStream opens a stream of either version; both have the same messages under two names.
func (c *grpcClient) reflectionStream(alpha bool) (reflectionAsk, func(), error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	if !alpha {
		stream, err := grpc_reflection_v1.NewServerReflectionClient(c.connection).ServerReflectionInfo(ctx)
		return func(request *grpc_reflection_v1.ServerReflectionRequest) (*grpc_reflection_v1.ServerReflectionResponse, error) {
			if err := stream.Send(request); err != nil && !errors.Is(err, io.EOF) {
				return nil, err
			}
			return stream.Recv()
		}, cancel, err
	}
	stream, err := grpc_reflection_v1alpha.NewServerReflectionClient(c.connection).ServerReflectionInfo(ctx)
	return func(request *grpc_reflection_v1.ServerReflectionRequest) (*grpc_reflection_v1.ServerReflectionResponse, error) {
		var old grpc_reflection_v1alpha.ServerReflectionRequest
		if err := recode(request, &old); err != nil {
			return nil, err
		}
		if err := stream.Send(&old); err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		answer, err := stream.Recv()
		if err != nil {
			return nil, err
		}
		var response grpc_reflection_v1.ServerReflectionResponse
		return &response, recode(answer, &response)
	}, cancel, err
}

func recode(from, to proto.Message) error {
	data, err := proto.Marshal(from)
	if err != nil {
		return err
	}
	return proto.Unmarshal(data, to)
}
