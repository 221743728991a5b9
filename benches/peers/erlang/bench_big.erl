%% All to all: every process asks every other and answers.
-module(bench_big).

-export([work/1]).

work(Messages) ->
    %% So many that about so many messages go between them.
    Count = trunc(math:sqrt(Messages / 2)) + 1,
    All = [spawn(fun guest/0) || _ <- lists:seq(1, Count)],
    [begin Guest ! {meet, self(), All}, receive {met, Guest} -> ok end end || Guest <- All],
    Start = bench_measure:now_nanos(),
    [Guest ! {ask_around, self()} || Guest <- All],
    [receive {over, Guest} -> ok end || Guest <- All],
    bench_measure:nanos_each(Start, Count * (Count - 1) * 2).

guest() ->
    receive
        {meet, Driver, All} ->
            Driver ! {met, self()},
            guest(lists:delete(self(), All), none, 0)
    end.

guest(Others, Driver, AnswersAwaited) ->
    receive
        {question, From} ->
            From ! answer,
            guest(Others, Driver, AnswersAwaited);
        answer when AnswersAwaited =:= 1 ->
            Driver ! {over, self()},
            guest(Others, none, 0);
        answer ->
            guest(Others, Driver, AnswersAwaited - 1);
        {ask_around, NewDriver} ->
            Question = {question, self()},
            [Other ! Question || Other <- Others],
            guest(Others, NewDriver, length(Others))
    end.
