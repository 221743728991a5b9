%% Processes that live for one message: many at a time, and one after the other.
-module(bench_spawning).

-export([all_at_once/1, one_by_one/1]).

all_at_once(Count) ->
    Lives = bench_countdown:from(Count),
    Start = bench_measure:now_nanos(),
    spawn_all(0, Count, Lives),
    bench_countdown:await(Lives),
    bench_measure:nanos_each(Start, Count).

spawn_all(Count, Count, _) ->
    ok;
spawn_all(Number, Count, Lives) ->
    spawn(fun() -> live(Lives, Number) end) ! fly,
    spawn_all(Number + 1, Count, Lives).

live(Lives, Number) ->
    receive
        fly -> bench_countdown:count(Lives, Number)
    end.

one_by_one(Count) ->
    Start = bench_measure:now_nanos(),
    spawn_next(Count),
    bench_measure:nanos_each(Start, Count).

spawn_next(0) ->
    ok;
spawn_next(Left) ->
    Myself = self(),
    Child = spawn(fun() -> Myself ! {is_there, self()} end),
    receive
        {is_there, Child} -> spawn_next(Left - 1)
    end.
