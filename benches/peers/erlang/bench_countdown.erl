%% How the end of many is awaited, at little cost to each of them; see common/src/countdown.rs.
%%
%% A message from each to one process would measure that process. They count in batches of a thousand, and the batches
%% count as one.
-module(bench_countdown).

-export([from/1, count/2, await/1]).

-define(BATCH, 1000).
%% So many words lie between two batches: each has a cache line of its own.
-define(STRIDE, 16).
%% Where batches count.
-define(WHOLE, 1).

%% A countdown from Count. Who made it is told when it is at zero.
from(Count) ->
    Batches = (Count + ?BATCH - 1) div ?BATCH,
    Left = atomics:new((Batches + 1) * ?STRIDE, []),
    atomics:put(Left, ?WHOLE, Batches),
    [atomics:put(Left, place(Batch), min(?BATCH, Count - Batch * ?BATCH)) || Batch <- lists:seq(0, Batches - 1)],
    {Left, self()}.

%% The one with this number, from 0 on, counts.
count({Left, Waiting}, Number) ->
    case atomics:sub_get(Left, place(Number div ?BATCH), 1) of
        0 ->
            case atomics:sub_get(Left, ?WHOLE, 1) of
                0 -> Waiting ! {counted, Left};
                _ -> ok
            end;
        _ ->
            ok
    end.

await({Left, _}) ->
    receive
        {counted, Left} -> ok
    end.

place(Batch) ->
    (Batch + 1) * ?STRIDE + 1.
