%% What many processes cost that do nothing: memory, and the processor's time.
-module(bench_idle).

-export([bytes/1, bytes_hibernating/1, cpu/1]).
-export([idle/1]).

bytes(Count) ->
    bytes(Count, fun idle/1).

%% They have given back all memory that they do not need meanwhile.
bytes_hibernating(Count) ->
    bytes(Count, fun(Number) -> erlang:hibernate(?MODULE, idle, [Number]) end).

%% Nobody has the identifiers: a process lives without.
bytes(Count, Idle) ->
    Before = bench_measure:resident_bytes(),
    start_all(Count, Idle),
    [max(0, bench_measure:resident_bytes() - Before) / Count].

cpu(Count) ->
    start_all(Count, fun idle/1),
    [bench_measure:idle_cpu()].

start_all(Count, Idle) ->
    Started = bench_countdown:from(Count),
    spawn_from(0, Count, Started, Idle),
    bench_countdown:await(Started).

spawn_from(Count, Count, _, _) ->
    ok;
spawn_from(Number, Count, Started, Idle) ->
    spawn(fun() ->
        bench_countdown:count(Started, Number),
        Idle(Number)
    end),
    spawn_from(Number + 1, Count, Started, Idle).

%% Its number is all that it has.
idle(Number) ->
    receive
        {get, Caller} ->
            Caller ! Number,
            idle(Number)
    end.
