%% One receiver that others send to without waiting: one in a plain loop, or a hundred in turns.
-module(bench_flood).

-export([one/1, many/1]).

-define(SENDERS, 100).

%% How many messages one of many senders sends before its message to itself.
-define(BURST, 100).

one(Messages) ->
    Start = bench_measure:now_nanos(),
    Bucket = start_bucket(Messages, on_heap),
    send(Bucket, 0, Messages),
    check(Bucket, sum_below(Messages)),
    bench_measure:nanos_each(Start, Messages).

many(Messages) ->
    Share = Messages div ?SENDERS,
    %% So that senders do not wait for each other. With one sender the default is faster.
    Bucket = start_bucket(Share * ?SENDERS, off_heap),
    Taps = [spawn(fun() -> tap(Bucket, Share) end) || _ <- lists:seq(1, ?SENDERS)],
    Start = bench_measure:now_nanos(),
    [Tap ! drip || Tap <- Taps],
    check(Bucket, sum_below(Share) * ?SENDERS),
    bench_measure:nanos_each(Start, Share * ?SENDERS).

%% Tells the sum of the numbers when it has so many drops.
start_bucket(Wanted, WhereMessagesAre) ->
    Driver = self(),
    spawn_opt(fun() -> fill(Driver, Wanted, 0) end, [{message_queue_data, WhereMessagesAre}]).

fill(Driver, 0, Numbers) ->
    Driver ! {full, self(), Numbers};
fill(Driver, Left, Numbers) ->
    receive
        {Number, Value} -> fill(Driver, Left - Value, Numbers + Number)
    end.

check(Bucket, Sum) ->
    receive
        {full, Bucket, Numbers} -> Sum = Numbers
    end.

%% What is sent: two words.
send(_, End, End) ->
    ok;
send(Bucket, Number, End) ->
    Bucket ! {Number, 1},
    send(Bucket, Number + 1, End).

%% Sends its share in bursts, with a message to itself between two of them. It need not give way: when its reductions are
%% used up it is interrupted.
tap(_, 0) ->
    ok;
tap(Bucket, Left) ->
    receive
        drip ->
            Rest = max(0, Left - ?BURST),
            send(Bucket, Rest, Left),
            self() ! drip,
            tap(Bucket, Rest)
    end.

sum_below(N) ->
    N * (N - 1) div 2.
