%% Two processes, one message to and fro.
-module(bench_ping_pong).

-export([work/1]).

work(Rounds) ->
    Driver = self(),
    Ping = spawn(fun() -> play(Driver) end),
    Pong = spawn(fun() -> pong(Ping) end),
    Start = bench_measure:now_nanos(),
    Ping ! {play, Pong, Rounds},
    receive
        {over, Ping} -> ok
    end,
    bench_measure:nanos_each(Start, Rounds).

play(Driver) ->
    receive
        {play, Pong, Rounds} -> ping(Pong, Rounds)
    end,
    Driver ! {over, self()}.

ping(_, 0) ->
    ok;
ping(Pong, Left) ->
    Pong ! ball,
    receive
        ball -> ping(Pong, Left - 1)
    end.

pong(Ping) ->
    receive
        ball ->
            Ping ! ball,
            pong(Ping)
    end.
