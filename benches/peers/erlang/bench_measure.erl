%% What figures are made of; see common/src/measure.rs.
-module(bench_measure).

-export([now_nanos/0, nanos_each/2, percentiles/1, resident_bytes/0, idle_cpu/0]).

%% For so long nothing happens, where that is what is measured.
-define(WINDOW_MILLIS, 3000).

now_nanos() ->
    erlang:monotonic_time(nanosecond).

nanos_each(Start, Units) ->
    (now_nanos() - Start) / Units.

%% The median, the 99th percentile and the longest of so many nanoseconds, in microseconds.
percentiles(Nanos) ->
    Sorted = list_to_tuple(lists:sort(Nanos)),
    [element(1 + round((tuple_size(Sorted) - 1) * Share), Sorted) / 1000 || Share <- [0.5, 0.99, 1.0]].

resident_bytes() ->
    {ok, Status} = file:read_file("/proc/self/status"),
    {match, [Kilobytes]} = re:run(Status, "VmRSS:\\s*(\\d+) kB", [{capture, all_but_first, list}]),
    list_to_integer(Kilobytes) * 1024.

%% Milliseconds of the processor's time in a second of three in which nothing happens.
idle_cpu() ->
    {Start, Before} = {now_nanos(), cpu_nanos()},
    timer:sleep(?WINDOW_MILLIS),
    {Used, Window} = {cpu_nanos() - Before, now_nanos() - Start},
    Used * 1000 / Window.

%% The processor's time of all threads.
cpu_nanos() ->
    {ok, Threads} = file:list_dir("/proc/self/task"),
    lists:sum([cpu_nanos(Thread) || Thread <- Threads]).

cpu_nanos(Thread) ->
    {ok, Text} = file:read_file(filename:join(["/proc/self/task", Thread, "schedstat"])),
    [Nanos | _] = binary:split(Text, <<" ">>),
    binary_to_integer(Nanos).
