%% Ping-pong between random pairs out of very many live processes: hardly any of them is in a cache.
%%
%% All pids are in a tuple that is a persistent term, as a message that carried it would copy it. The pairs are random but
%% not those of the other peers, whose generator would need numbers of more than 60 bits.
-module(bench_crowd).

-export([work/1]).

%% So many balls are in the air, so that both schedulers have something to do.
-define(BALLS, 64).

%% With Count processes, as many round trips.
work(Count) ->
    Crowd = [spawn(fun player/0) || _ <- lists:seq(1, Count)],
    persistent_term:put(?MODULE, list_to_tuple(Crowd)),
    Arrivals = bench_countdown:from(Count),
    lists:foldl(fun(Player, Number) -> Player ! {arrive, Arrivals, Number}, Number + 1 end, 0, Crowd),
    bench_countdown:await(Arrivals),
    play(Count div 10),
    [play(Count)].

play(Rounds) ->
    Each = Rounds div ?BALLS,
    Start = bench_measure:now_nanos(),
    [serve(rand:mwc59_seed(Seed), Each, self()) || Seed <- lists:seq(1, ?BALLS)],
    [receive over -> ok end || _ <- lists:seq(1, ?BALLS)],
    bench_measure:nanos_each(Start, Each * ?BALLS).

%% Tells a random one to serve a ball.
serve(Random, Left, Driver) ->
    {Server, Next} = anybody(Random),
    Server ! {serve, Next, Left, Driver}.

anybody(Random) ->
    Crowd = persistent_term:get(?MODULE),
    Number = (rand:mwc59_value32(Random) * tuple_size(Crowd)) bsr 32,
    {element(1 + Number, Crowd), rand:mwc59(Random)}.

player() ->
    receive
        {serve, Random, Left, Driver} ->
            {Other, Next} = anybody(Random),
            Other ! {hit, self(), Next, Left, Driver};
        {hit, Server, Random, Left, Driver} ->
            Server ! {back, Random, Left, Driver};
        {back, _, 1, Driver} ->
            Driver ! over;
        {back, Random, Left, Driver} ->
            serve(Random, Left - 1, Driver);
        {arrive, Arrivals, Number} ->
            bench_countdown:count(Arrivals, Number)
    end,
    player().
