%% A thousand processes in a ring pass tokens on: one, or a hundred.
-module(bench_ring).

-export([work/2]).

-define(PLACES, 1000).

work(Tokens, Hops) ->
    HopsEach = Hops div Tokens,
    Ring = [spawn(fun place/0) || _ <- lists:seq(1, ?PLACES)],
    [Place ! {follow, Next} || {Place, Next} <- lists:zip(Ring, tl(Ring) ++ [hd(Ring)])],
    Start = bench_measure:now_nanos(),
    [lists:nth(1 + N * (?PLACES div Tokens), Ring) ! {HopsEach, self()} || N <- lists:seq(0, Tokens - 1)],
    await_home(Tokens),
    bench_measure:nanos_each(Start, HopsEach * Tokens).

place() ->
    receive
        {follow, Next} -> pass(Next)
    end.

%% A token carries the way home with it.
pass(Next) ->
    receive
        {0, Home} -> Home ! home;
        {HopsLeft, Home} -> Next ! {HopsLeft - 1, Home}
    end,
    pass(Next).

await_home(0) ->
    ok;
await_home(Tokens) ->
    receive
        home -> await_home(Tokens - 1)
    end.
