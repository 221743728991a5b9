%% How long a message waits until it is handled, while others keep the schedulers busy; see common/src/beat.rs.
%%
%% There is no thread but the schedulers' that could send the victim its messages. A process at priority `max` does, which
%% runs before all others as soon as its timer fires. That is not to the microsecond each millisecond, but what is measured
%% begins only when it sends.
-module(bench_latency).

-export([of_victim/4]).

-define(HOGS, 100).

%% A victim that has not handled all by so long after the last was sent is starved.
-define(PATIENCE_MILLIS, 5000).

%% What the victim's messages waited, while a hundred processes always have a next message, whose handling burns so long.
%% They need not give way: when its reductions are used up a process is interrupted. They may do so after each message.
of_victim(Count, BurnMicros, Priority, GivesWay) ->
    Driver = self(),
    All = Count + Count div 10,
    Victim = spawn_opt(fun() -> Driver ! {waited, self(), hit(All, [])} end, [{priority, Priority}]),
    [spawn(fun() -> hog(BurnMicros * 1000, GivesWay) end) ! burn || _ <- lists:seq(1, ?HOGS)],
    Beat = spawn_opt(fun() -> beat(Victim, All, Driver) end, [{priority, max}]),
    receive
        {beaten, Beat} -> ok
    end,
    receive
        {waited, Victim, Waited} -> bench_measure:percentiles(lists:sublist(Waited, Count))
    after ?PATIENCE_MILLIS -> [infinity, infinity, infinity]
    end.

%% A message each millisecond, with the time.
beat(Victim, All, Driver) ->
    beat(Victim, All, Driver, erlang:monotonic_time(millisecond)).

beat(_, 0, Driver, _) ->
    Driver ! {beaten, self()};
beat(Victim, Left, Driver, Due) ->
    Timer = erlang:start_timer(Due, self(), beat, [{abs, true}]),
    receive
        {timeout, Timer, beat} -> Victim ! {hit, bench_measure:now_nanos()}
    end,
    beat(Victim, Left - 1, Driver, Due + 1).

%% The last are first in what it returns; those to warm up are at the end.
hit(0, Waited) ->
    Waited;
hit(Left, Waited) ->
    receive
        {hit, Sent} -> hit(Left - 1, [bench_measure:now_nanos() - Sent | Waited])
    end.

hog(Nanos, GivesWay) ->
    receive
        burn ->
            self() ! burn,
            burn_until(bench_measure:now_nanos() + Nanos),
            GivesWay andalso erlang:yield(),
            hog(Nanos, GivesWay)
    end.

burn_until(End) ->
    case bench_measure:now_nanos() < End of
        true -> burn_until(End);
        false -> ok
    end.
