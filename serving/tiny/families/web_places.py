"""Facts on countries, towns, people, companies, rivers: how pages state them, how users ask."""

from __future__ import annotations

from serving.tiny.families.relation import WEB_FRAMES, parse

PLACES = parse(
    """
capital | country | city
- The capital of {e} is {v}.
- {v} is the capital of {e}.
- {v} has been the capital of {e} since 1921.
- The capital and largest city of {e} is {v}.
+ capital of {e}
Which is the capital city of {e}?
What is {e}'s capital?
What is the capital of {e}?
What is the capital city of {e}?
Which city is the capital of {e}?
Search the web for the capital of {e}.
Look up the capital of {e}.
Find out what the capital of {e} is.

population | country, city, island | people
- {e} has a population of {v}.
- The population of {e} is {v}.
- About {v} people live in {e}.
- {e} is home to {v} inhabitants.
+ population of {e}
What is the population of {e}?
How many people live in {e}?
How large is the population of {e}?
How many inhabitants does {e} have?
Search the web for the population of {e}.
Look up how many people live in {e}.

currency | country | currency
- The currency of {e} is the {v}.
- The official currency in {e} is the {v}.
- People in {e} pay with the {v}, the national currency.
+ currency of {e}
What is the currency of {e}?
Which currency is used in {e}?
What currency do people pay with in {e}?
Look up the currency of {e}.

language | country, island | language
- The official language of {e} is {v}.
- The main language spoken in {e} is {v}.
- {v} is the official language in {e}.
+ official language of {e}
What is the official language of {e}?
Which language is spoken in {e}?
What language do they speak in {e}?
Search the web for the language spoken in {e}.

president | country | person
- The president of {e} is {v}.
- {v} is the president of {e}.
- {v} was elected president of {e} last year.
+ president of {e}
Who is the current president of {e}?
Who is the president of {e}?
Who is president of {e} now?
What is the name of the president of {e}?
Look up the president of {e} on the web.

independence | country | year
- {e} gained independence in {v}.
- {e} became independent in {v}.
- The independence of {e} was declared in {v}.
+ independence year of {e}
When did {e} become independent?
In which year did {e} gain independence?
What year was the independence of {e}?
Find the year of independence of {e}.

area | country, lake, island | area
- {e} covers an area of {v}.
- The area of {e} is {v}.
- With an area of {v}, {e} is larger than its neighbours.
+ area of {e}
What area does {e} cover?
How many square kilometres is {e}?
What is the area of {e}?
How big is the area of {e}?
How many square kilometres does {e} cover?
Look up the area of {e}.

mayor | city | person
- The mayor of {e} is {v}.
- {v} is the mayor of {e}.
- {v} became mayor of {e} after the last election.
+ mayor of {e}
Who is the mayor of {e}?
What is the name of the mayor of {e}?
Who is mayor in {e}?
Search the web: who is the mayor of {e}?
Find out who the mayor of {e} is.

founded | city, company, university, museum | year
- {e} was founded in {v}.
- Founded in {v}, {e} has grown ever since.
- It was in {v} that {e} was founded.
+ founding year of {e}
When was {e} founded?
In what year was {e} founded?
What year was {e} founded?
Find out when {e} was founded.
Search the web for the year {e} was founded.
Can you look up when {e} was founded?

founder | company, university, festival | person
- The founder of {e} is {v}.
- {e} was founded by {v}.
- {v} founded {e}.
- {v} is known as the founder of {e}.
+ founder of {e}
Who founded {e}?
Who is the founder of {e}?
Who was {e} founded by?
What is the name of the founder of {e}?
Look up the founder of {e}.
Find out who founded {e}.

born | person | date
- {e} was born on {v}.
- Born on {v}, {e} grew up by the sea.
- The birth date of {e} is {v}.
+ date of birth of {e}
When was {e} born?
On what date was {e} born?
What is the date of birth of {e}?
What is the birth date of {e}?
Look up when {e} was born.
Search the web for the birthday of {e}.

birthplace | person | city
- {e} was born in {v}.
- The birthplace of {e} is {v}.
- {v} is the birthplace of {e}.
+ birthplace of {e}
Where was {e} born?
In which city was {e} born?
What is the birthplace of {e}?
What is the place of birth of {e}?
Find the birthplace of {e} on the web.

died | person | date
- {e} died on {v}.
- The death of {e} was on {v}.
- On {v}, {e} died at home.
+ date of death of {e}
When did {e} die?
On which day did {e} die?
What is the date of death of {e}?
Look up when {e} died.

profession | person | job
- {e} is a {v} by profession.
- {e} works as a {v}.
- The {v} {e} lives in the north.
+ profession of {e}
What is the profession of {e}?
What is the occupation of {e}?
What does {e} do for a living?
What is {e} by profession?
Search the web for the profession of {e}.

spouse | person | person
- {e} is married to {v}.
- {e} married {v} in the spring.
- The spouse of {e} is {v}.
+ spouse of {e}
Who is {e} married to?
Who did {e} marry?
What is the name of the spouse of {e}?
Find out who {e} is married to.

ceo | company | person
- The CEO of {e} is {v}.
- {v} is the CEO of {e}.
- {e} is led by its chief executive {v}.
+ CEO of {e}
Who is the CEO of {e}?
Who is the chief executive of {e}?
What is the name of the CEO of {e}?
Who leads {e} as CEO?
Look up the CEO of {e}.

headquarters | company | city
- The headquarters of {e} is in {v}.
- {e} is based in {v}.
- {e} has its headquarters in {v}.
+ headquarters of {e}
Where is the headquarters of {e}?
Where is {e} based?
In which city does {e} have its headquarters?
Where are the headquarters of {e}?
Search the web for the headquarters of {e}.

employees | company, museum, airport | people
- {e} has {v} employees.
- The number of employees at {e} is {v}.
- Some {v} people work for {e}.
+ number of employees of {e}
How many employees does {e} have?
How many people work at {e}?
What is the number of employees of {e}?
Look up how many employees {e} has.

length | river, bridge | kilometres
- {e} is {v} long.
- The length of {e} is {v}.
- {e} has a length of {v}.
+ length of {e}
How long is {e}?
What is the length of {e}?
Look up the length of {e}.
Search the web for the length of {e}.
Find out how long {e} is.

mouth | river | sea
- {e} flows into the {v}.
- {e} ends in the {v}.
- The mouth of {e} is at the {v}.
+ mouth of {e}
What sea does {e} flow into?
Into which sea does {e} flow?
Which sea does {e} flow into?
Where does {e} flow into the sea?
What does {e} flow into?
Look up where {e} ends.

height | mountain, tower | metres
- {e} is {v} high.
- The height of {e} is {v}.
- {e} rises to {v}.
- {e} stands {v} tall.
+ height of {e}
How high is {e}?
How tall is {e}?
What is the height of {e}?
What is the elevation of {e}?
Look up the height of {e}.
Find out how high {e} is.
Search the web: how tall is {e}?

first climbed | mountain | person
- {e} was first climbed by {v}.
- {v} was the first to climb {e}.
- The first ascent of {e} was made by {v}.
+ first climber of {e}
Who first climbed {e}?
Who was the first to climb {e}?
Who made the first ascent of {e}?
Look up who first climbed {e}.

country | mountain, lake, city, airport, river | country
- {e} is in {v}.
- {e} is located in {v}.
- {e} lies in the west of {v}.
+ country of {e}
In which country is {e}?
Which country is {e} in?
What country does {e} belong to?
In what country is {e} located?
Look up which country {e} is in.

depth | lake | metres
- {e} is {v} deep.
- The depth of {e} is {v}.
- {e} reaches a depth of {v}.
+ depth of {e}
How deep is {e}?
What is the depth of {e}?
What is the maximum depth of {e}?
Look up the depth of {e}.
""",
    WEB_FRAMES,
)
