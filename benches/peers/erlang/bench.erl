%% What the runner asks this program for, and how it answers; see common/src/program.rs.
%% `peer` is the name of a module of OTP.
-module(bench).

-export([main/0]).

main() ->
    %% Apart from the process that starts the node, which has other things to do.
    spawn(fun() -> answer(init:get_plain_arguments()) end).

answer(["--version"]) ->
    Versions = [erlang:system_info(otp_release), erlang:system_info(version)],
    say("Erlang/OTP ~s (erts ~s)~n", Versions);
answer(["--list"]) ->
    say("~s", [[io_lib:format("~s ~s~n", [Workload, Form]) || {Workload, Form, _} <- forms()]]);
answer([Workload, Form, Count]) ->
    case [Work || {W, F, Work} <- forms(), W =:= Workload, F =:= Form] of
        [Work] -> work(Work, list_to_integer(Count));
        [] -> fail(2, "no work is called ~s ~s~n", [Workload, Form])
    end;
answer(_) ->
    fail(2, "--version | --list | WORKLOAD FORM COUNT~n", []).

work(Work, Count) ->
    try Work(Count) of
        Figures -> say("~s~n", [lists:join(" ", [text(Figure) || Figure <- Figures])])
    catch
        Class:Reason:Stack -> fail(1, "~p~n", [{Class, Reason, Stack}])
    end.

text(infinity) -> "inf";
text(Figure) -> float_to_list(float(Figure), [{decimals, 6}, compact]).

%% At once: to take a million processes down is no part of any workload.
say(Format, Arguments) ->
    io:format(Format, Arguments),
    halt(0).

fail(Code, Format, Arguments) ->
    io:format(standard_error, Format, Arguments),
    halt(Code).

%% `blocked` is missing. Whatever is written in Erlang is interrupted after so many reductions, and code in C that would
%% hold its thread for so long belongs on a dirty scheduler: nothing here can put a scheduler's thread to sleep.
forms() ->
    [
        {"spawn", "process", warm(fun bench_spawning:all_at_once/1)},
        {"idle_bytes", "process", fun bench_idle:bytes/1},
        {"idle_bytes", "hibernating", fun bench_idle:bytes_hibernating/1},
        {"ping_pong", "process", warm(fun bench_ping_pong:work/1)},
        {"ask", "process", warm(fun bench_ask:process/1)},
        {"ask", "gen_server", warm(fun bench_ask:gen_server/1)},
        {"one_to_one", "process", warm(fun bench_flood:one/1)},
        {"fan_in", "process", warm(fun bench_flood:many/1)},
        {"ring_1", "process", warm(fun(Hops) -> bench_ring:work(1, Hops) end)},
        {"ring_100", "process", warm(fun(Hops) -> bench_ring:work(100, Hops) end)},
        {"big", "process", warm(fun bench_big:work/1)},
        {"chameneos", "process", warm(fun bench_chameneos:work/1)},
        {"fork_join", "process", warm(fun bench_fork_join:work/1)},
        {"spawn_latency", "process", warm(fun bench_spawning:one_by_one/1)},
        {"monitors", "process", warm(fun bench_watching:monitors/1)},
        {"links", "process", warm(fun bench_watching:links/1)},
        {"fair_10us", "process", fair(10, normal, false)},
        {"fair_10us", "yielding", fair(10, normal, true)},
        {"fair_1ms", "process", fair(1000, normal, false)},
        {"fair_1ms", "yielding", fair(1000, normal, true)},
        {"fair_10us_high", "process", fair(10, high, false)},
        {"fair_1ms_high", "process", fair(1000, high, false)},
        {"crowd", "process", fun bench_crowd:work/1},
        {"idle_cpu", "process", fun bench_idle:cpu/1}
    ].

fair(BurnMicros, Priority, GivesWay) ->
    fun(Beats) -> bench_latency:of_victim(Beats, BurnMicros, Priority, GivesWay) end.

%% A tenth of the count first, which does not count.
warm(Work) ->
    fun(Count) ->
        Work(Count div 10),
        [Work(Count)]
    end.
