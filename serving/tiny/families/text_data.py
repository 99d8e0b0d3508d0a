"""The words that small text files are made of."""

from __future__ import annotations


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split("|"))


STEMS = _words(
    "notes diary journal letter story log todo list readme ideas minutes draft speech poem report"
    " shopping memo message travel plan summary meeting lecture interview chapter article essay"
    " words text recipe agenda status review history guide"
)
SUBJECTS = _names(
    "the teacher|a driver|my sister|the old captain|our neighbour|the engineer|a small dog|the band"
    "|the nurse|the mayor|a tall woman|the gardener|the baker|a young painter|the whole team"
    "|my uncle|the pilot|the librarian|a grey cat|the farmer|the judge|a stranger"
)
VERBS = _words(
    "bought found painted carried lost repaired opened visited watched remembered cleaned sold"
    " borrowed noticed described measured moved photographed ordered forgot counted planned"
)
OBJECTS = _names(
    "apples|a bicycle|the garden|two letters|a wooden boat|the new bridge|some coffee|the market"
    "|an umbrella|a silver watch|the station|green paint|the tickets|a long report|the piano"
    "|fresh bread|the window|a map|the lighthouse|seven candles|the museum|a suitcase|the budget"
)
ENDINGS = _names(
    "in the morning|before lunch|on Monday|near the river|after the storm|with great care"
    "|for the first time|without a word|at the harbour|on the way home|during the meeting"
    "|last winter|behind the house|in a hurry|for a friend|at night|by train|in May"
)
GOODS = _words(
    "coffee tea rent bread milk train cinema books petrol phone shoes paint cheese rice soap lunch"
    " garden insurance flowers taxi repairs stamps gym music parking"
)
WORDS = _words(
    "river stone cloud lamp forest tiger garden window apple silver paper music bridge winter"
    " engine button carpet desert eagle finger guitar hammer island jacket kitchen lemon mountain"
    " needle orange pepper quarter rocket sugar ticket valley wagon yellow zebra anchor basket"
)
