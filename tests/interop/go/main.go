// Calls a Python server by google.golang.org/grpc and by connectrpc.com/connect, through stubs of the same schema.
//
// Arguments: the address of gRPC (host:port), the URL of Connect, the token.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"connectrpc.com/connect"
	"example.com/interop/gen"
	"example.com/interop/gen/genconnect"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

const slow = "import time\nwhile True: time.sleep(0.01)"

// service is what both clients are reduced to.
type service struct {
	evaluate func(context.Context, *gen.EvaluateRequest) (*gen.EvaluateResponse, error)
	create   func(context.Context, *gen.CreateObjectRequest) (*gen.CreateObjectResponse, error)
	call     func(context.Context, *gen.CallMethodRequest) (*gen.CallMethodResponse, error)
	run      func(context.Context, *gen.RunRequest, func(*gen.RunResponse)) error
	iterate  func(context.Context, *gen.IterateRequest, func(*gen.IterateResponse)) error
	code     func(error) string
	detail   func(error) *gen.ErrorDetail
}

func main() {
	if len(os.Args) != 4 {
		fail("want: address, URL, token")
	}
	conn, err := grpc.NewClient(os.Args[1], grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20)))
	check(err)
	defer conn.Close()
	token := "Bearer " + os.Args[3]
	exercise("grpc", overGrpc(gen.NewPythonServiceClient(conn)),
		metadata.AppendToOutgoingContext(context.Background(), "authorization", token))
	for name, options := range map[string][]connect.ClientOption{
		"connect proto": nil,
		"connect json":  {connect.WithProtoJSON()},
	} {
		client := genconnect.NewPythonServiceClient(http.DefaultClient, os.Args[2], options...)
		exercise(name, overConnect(client, token), context.Background())
	}
	fmt.Println("ok")
}

func exercise(name string, s service, ctx context.Context) {
	evaluate := func(code string, locals ...*gen.NamedValue) *gen.Value {
		response, err := s.evaluate(ctx, &gen.EvaluateRequest{Code: code, Locals: locals})
		check(err)
		return response.Value
	}
	expect(name, "evaluate", evaluate("1 + 1").GetInteger() == 2)

	made, err := s.create(ctx, &gen.CreateObjectRequest{
		Module:    &gen.CreateObjectRequest_ModuleName{ModuleName: "fractions"},
		ClassName: "Fraction",
		Args:      []*gen.Value{integer(3), integer(4)},
	})
	check(err)
	expect(name, "create", made.Handle.TypeName == "Fraction")
	called, err := s.call(ctx, &gen.CallMethodRequest{HandleId: made.Handle.Id, MethodName: "__str__"})
	check(err)
	expect(name, "call", called.Value.GetText() == "3/4")

	var output strings.Builder
	var result int64
	check(s.run(ctx, &gen.RunRequest{Operations: []*gen.Operation{{
		Operation: &gen.Operation_Evaluate{Evaluate: &gen.EvaluateRequest{
			Code: "print('hello')\n7", Options: &gen.CallOptions{Stdout: true},
		}},
	}}}, func(response *gen.RunResponse) {
		output.WriteString(response.GetStdout())
		if end := response.GetResult(); end != nil {
			result = end.GetEvaluate().Value.GetInteger()
		}
	}))
	expect(name, "run", output.String() == "hello\n" && result == 7)
	var sum int64
	generator := evaluate("(n for n in range(1000))").GetHandle()
	check(s.iterate(ctx, &gen.IterateRequest{HandleId: generator.Id}, func(response *gen.IterateResponse) {
		for _, item := range response.Items {
			sum += item.GetInteger()
		}
	}))
	expect(name, "iterate", sum == 499500)

	_, err = s.evaluate(ctx, &gen.EvaluateRequest{Code: "raise KeyError('no')"})
	expect(name, "exception", s.code(err) == "unknown" && s.detail(err).Exception.Type == "KeyError")
	_, err = s.call(ctx, &gen.CallMethodRequest{HandleId: 1 << 40, MethodName: "x"})
	expect(name, "stale handle", s.code(err) == "failed_precondition")

	short, stop := context.WithTimeout(ctx, 200*time.Millisecond)
	_, err = s.evaluate(short, &gen.EvaluateRequest{Code: slow})
	stop()
	expect(name, "deadline", s.code(err) == "deadline_exceeded")
	expect(name, "after the deadline", evaluate("'on'").GetText() == "on")

	cancelled, cancel := context.WithCancel(ctx)
	time.AfterFunc(100*time.Millisecond, cancel)
	_, err = s.evaluate(cancelled, &gen.EvaluateRequest{Code: slow})
	expect(name, "cancellation", s.code(err) == "canceled")
	expect(name, "after the cancellation", evaluate("'on'").GetText() == "on")

	data := bytes.Repeat([]byte{0, 1, 2, 255}, 2<<20)
	local := &gen.NamedValue{Name: "data", Value: &gen.Value{Kind: &gen.Value_Binary{Binary: data}}}
	expect(name, "8 MB", bytes.Equal(evaluate("data", local).GetBinary(), data))
}

func integer(n int64) *gen.Value {
	return &gen.Value{Kind: &gen.Value_Integer{Integer: n}}
}

func overGrpc(client gen.PythonServiceClient) service {
	return service{
		evaluate: func(ctx context.Context, r *gen.EvaluateRequest) (*gen.EvaluateResponse, error) {
			return client.Evaluate(ctx, r)
		},
		create: func(ctx context.Context, r *gen.CreateObjectRequest) (*gen.CreateObjectResponse, error) {
			return client.CreateObject(ctx, r)
		},
		call: func(ctx context.Context, r *gen.CallMethodRequest) (*gen.CallMethodResponse, error) {
			return client.CallMethod(ctx, r)
		},
		run: func(ctx context.Context, r *gen.RunRequest, each func(*gen.RunResponse)) error {
			stream, err := client.Run(ctx, r)
			check(err)
			return drain(stream.Recv, each)
		},
		iterate: func(ctx context.Context, r *gen.IterateRequest, each func(*gen.IterateResponse)) error {
			stream, err := client.Iterate(ctx, r)
			check(err)
			return drain(stream.Recv, each)
		},
		code: func(err error) string {
			return map[codes.Code]string{
				codes.Unknown: "unknown", codes.FailedPrecondition: "failed_precondition",
				codes.DeadlineExceeded: "deadline_exceeded", codes.Canceled: "canceled",
			}[status.Code(err)]
		},
		detail: func(err error) *gen.ErrorDetail {
			return status.Convert(err).Details()[0].(*gen.ErrorDetail)
		},
	}
}

func drain[T any](receive func() (*T, error), each func(*T)) error {
	for {
		message, err := receive()
		if err != nil {
			if err.Error() == "EOF" {
				return nil
			}
			return err
		}
		each(message)
	}
}

func overConnect(client genconnect.PythonServiceClient, token string) service {
	return service{
		evaluate: unary(token, client.Evaluate),
		create:   unary(token, client.CreateObject),
		call:     unary(token, client.CallMethod),
		run: func(ctx context.Context, r *gen.RunRequest, each func(*gen.RunResponse)) error {
			return follow(ctx, token, client.Run, r, each)
		},
		iterate: func(ctx context.Context, r *gen.IterateRequest, each func(*gen.IterateResponse)) error {
			return follow(ctx, token, client.Iterate, r, each)
		},
		code: func(err error) string { return connect.CodeOf(err).String() },
		detail: func(err error) *gen.ErrorDetail {
			var failure *connect.Error
			if !errors.As(err, &failure) {
				fail(err)
			}
			value, err := failure.Details()[0].Value()
			check(err)
			return value.(*gen.ErrorDetail)
		},
	}
}

func unary[Q, A any](
	token string, procedure func(context.Context, *connect.Request[Q]) (*connect.Response[A], error),
) func(context.Context, *Q) (*A, error) {
	return func(ctx context.Context, message *Q) (*A, error) {
		request := connect.NewRequest(message)
		request.Header().Set("Authorization", token)
		response, err := procedure(ctx, request)
		if err != nil {
			return nil, err
		}
		return response.Msg, nil
	}
}

func follow[Q, A any](
	ctx context.Context, token string,
	procedure func(context.Context, *connect.Request[Q]) (*connect.ServerStreamForClient[A], error),
	message *Q, each func(*A),
) error {
	request := connect.NewRequest(message)
	request.Header().Set("Authorization", token)
	stream, err := procedure(ctx, request)
	if err != nil {
		return err
	}
	defer stream.Close()
	for stream.Receive() {
		each(stream.Msg())
	}
	return stream.Err()
}

func expect(client, what string, holds bool) {
	if !holds {
		fail(client + ": " + what)
	}
}

func check(err error) {
	if err != nil {
		fail(err)
	}
}

func fail(what any) {
	fmt.Fprintln(os.Stderr, what)
	os.Exit(1)
}
