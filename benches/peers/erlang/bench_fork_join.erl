%% A tree of processes: work is split on the way down, and the sums are added on the way up.
-module(bench_fork_join).

-export([work/1]).

-define(FAN_OUT, 10).
-define(LEVELS, 3).

%% As much as gives each leaf one piece.
-define(WORK, 1000).

%% Two for each process but the root.
-define(MESSAGES, (2 * (10 + 100 + 1000))).

work(Messages) ->
    Rounds = Messages div ?MESSAGES,
    Root = grow(self(), ?LEVELS),
    %% The first total comes when the tree has grown.
    work_on(Root, 1),
    Start = bench_measure:now_nanos(),
    work_on(Root, Rounds),
    bench_measure:nanos_each(Start, Rounds * ?MESSAGES).

work_on(_, 0) ->
    ok;
work_on(Root, Rounds) ->
    Root ! {fork, ?WORK},
    receive
        {join, ?WORK} -> work_on(Root, Rounds - 1)
    end.

grow(Parent, 0) ->
    spawn(fun() -> leaf(Parent) end);
grow(Parent, LevelsBelow) ->
    spawn(fun() ->
        Myself = self(),
        branch(Parent, [grow(Myself, LevelsBelow - 1) || _ <- lists:seq(1, ?FAN_OUT)])
    end).

leaf(Parent) ->
    receive
        {fork, Work} -> Parent ! {join, Work}
    end,
    leaf(Parent).

branch(Parent, Children) ->
    receive
        {fork, Work} ->
            Piece = {fork, Work div ?FAN_OUT},
            [Child ! Piece || Child <- Children],
            Parent ! {join, join(?FAN_OUT, 0)},
            branch(Parent, Children)
    end.

join(0, Sum) ->
    Sum;
join(Awaited, Sum) ->
    receive
        {join, Part} -> join(Awaited - 1, Sum + Part)
    end.
