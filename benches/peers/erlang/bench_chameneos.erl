%% A meeting place where a hundred creatures meet in pairs and change their colours.
%%
%% Each message carries a reference to its sender, as messages between processes often do.
-module(bench_chameneos).

-export([work/1]).

%% Their number is even: at the end nobody is left waiting.
-define(CREATURES, 100).

work(Meetings) ->
    Driver = self(),
    Place = spawn(fun() -> place(Meetings) end),
    Colour = fun(Number) -> element(1 + Number rem 3, {blue, red, yellow}) end,
    Start = fun(Number) -> spawn(fun() -> be_creature(Driver, Place, Colour(Number)) end) end,
    Creatures = [Start(Number) || Number <- lists:seq(0, ?CREATURES - 1)],
    Begin = bench_measure:now_nanos(),
    [Creature ! set_out || Creature <- Creatures],
    [receive {home, Creature} -> ok end || Creature <- Creatures],
    bench_measure:nanos_each(Begin, Meetings).

place(0) ->
    receive
        {Who, _} -> Who ! go_home
    end,
    place(0);
place(Left) ->
    receive
        {Who, Colour} -> place(Left, Who, Colour)
    end.

%% Somebody waits.
place(Left, Other, OtherColour) ->
    receive
        {Who, Colour} ->
            Other ! {met, Colour},
            Who ! {met, OtherColour},
            place(Left - 1)
    end.

be_creature(Driver, Place, Colour) ->
    receive
        set_out ->
            Place ! {self(), Colour},
            be_creature(Driver, Place, Colour);
        {met, Other} ->
            NewColour = both(Colour, Other),
            Place ! {self(), NewColour},
            be_creature(Driver, Place, NewColour);
        go_home ->
            Driver ! {home, self()}
    end.

%% What both become who met with these colours.
both(blue, red) -> yellow;
both(red, blue) -> yellow;
both(blue, yellow) -> red;
both(yellow, blue) -> red;
both(red, yellow) -> blue;
both(yellow, red) -> blue;
both(Same, Same) -> Same.
