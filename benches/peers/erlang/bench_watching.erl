%% One process that many monitor, or are linked to, ends; until the last of them has been told.
%%
%% Whoever has been told lives on, so that only the telling is measured.
-module(bench_watching).

-export([monitors/1, links/1]).

monitors(Count) ->
    time(Count, fun(Target, Number, Ready, Told) ->
        Monitor = monitor(process, Target),
        bench_countdown:count(Ready, Number),
        receive
            {'DOWN', Monitor, process, Target, _} -> bench_countdown:count(Told, Number)
        end
    end).

links(Count) ->
    time(Count, fun(Target, Number, Ready, Told) ->
        process_flag(trap_exit, true),
        link(Target),
        bench_countdown:count(Ready, Number),
        receive
            {'EXIT', Target, _} -> bench_countdown:count(Told, Number)
        end
    end).

time(Count, Watch) ->
    Target = spawn(fun target/0),
    {Ready, Told} = {bench_countdown:from(Count), bench_countdown:from(Count)},
    [spawn_watcher(Watch, Target, Number, Ready, Told) || Number <- lists:seq(0, Count - 1)],
    bench_countdown:await(Ready),
    %% When it replies, it has taken note of all that watch it: they asked before this.
    Target ! {are_you_there, self()},
    receive
        {yes, Target} -> ok
    end,
    Start = bench_measure:now_nanos(),
    Target ! stop,
    bench_countdown:await(Told),
    bench_measure:nanos_each(Start, Count).

spawn_watcher(Watch, Target, Number, Ready, Told) ->
    spawn(fun() ->
        Watch(Target, Number, Ready, Told),
        live_on()
    end).

live_on() ->
    receive
        never -> ok
    end.

target() ->
    receive
        {are_you_there, Caller} ->
            Caller ! {yes, self()},
            target();
        stop ->
            ok
    end.
