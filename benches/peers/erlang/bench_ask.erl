%% One caller, one server, calls awaited one after the other: with plain messages, as the language's own documentation does
%% it, and with OTP's gen_server.
-module(bench_ask).
-behaviour(gen_server).

-export([process/1, gen_server/1]).
-export([init/1, handle_call/3, handle_cast/2]).

process(Calls) ->
    Server = spawn(fun() -> serve(0) end),
    time(Calls, fun() -> add(Server, 1) end).

%% A reply is told from other messages by its reference. As that is new, a receive need not look at messages that came
%% before it was made.
add(Server, N) ->
    Reference = make_ref(),
    Server ! {add, self(), Reference, N},
    receive
        {Reference, Value} -> Value
    end.

serve(Value) ->
    receive
        {add, Caller, Reference, N} ->
            Caller ! {Reference, Value + N},
            serve(Value + N)
    end.

gen_server(Calls) ->
    {ok, Server} = gen_server:start(?MODULE, 0, []),
    time(Calls, fun() -> gen_server:call(Server, {add, 1}, infinity) end).

init(Value) ->
    {ok, Value}.

handle_call({add, N}, _, Value) ->
    {reply, Value + N, Value + N}.

handle_cast(_, Value) ->
    {noreply, Value}.

time(Calls, Call) ->
    Start = bench_measure:now_nanos(),
    call(1, Calls, Call),
    bench_measure:nanos_each(Start, Calls).

call(N, Calls, _) when N > Calls ->
    ok;
call(N, Calls, Call) ->
    N = Call(),
    call(N + 1, Calls, Call).
