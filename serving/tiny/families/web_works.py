"""Facts on books, films, buildings, events, products: how pages state them, how users ask."""

from __future__ import annotations

from serving.tiny.families.relation import WEB_FRAMES, parse

WORKS = parse(
    """
author | book | person
- {e} is a novel by {v}.
- {e} was written by {v}.
- The author of {e} is {v}.
- {v} wrote {e}.
+ author of '{e}'
Who wrote '{e}'?
Who wrote the book "{e}"?
Who is the author of '{e}'?
Who is the author of the novel {e}?
Look up the author of '{e}'.
Search the web for the author of "{e}".
Find out who wrote the novel '{e}'.

published | book | year
- {e} was published in {v}.
- First published in {v}, {e} sold well.
- In {v}, {e} was published.
+ year of publication of '{e}'
When was the book '{e}' published?
In which year was the novel {e} published?
What year was '{e}' published?
Look up when the book '{e}' was published.

pages | book | dozens
- {e} has {v} pages.
- The book {e} runs to {v} pages.
- The number of pages of {e} is {v}.
+ number of pages of '{e}'
How many pages does the book '{e}' have?
How many pages are in '{e}'?
How many pages long is the novel {e}?
Find the number of pages of '{e}'.

main character | book, film | person
- The main character of {e} is {v}.
- {v} is the main character of {e}.
- {e} tells the story of its main character {v}.
+ main character of '{e}'
Who is the main character of '{e}'?
Who is the main character in {e}?
What is the name of the main character in '{e}'?
Look up the main character of '{e}'.

director | film | person
- {e} was directed by {v}.
- The director of {e} is {v}.
- {v} directed {e}.
+ director of '{e}'
Who directed '{e}'?
Who directed the film {e}?
Who is the director of '{e}'?
Who was the director of the movie "{e}"?
Look up the director of the film '{e}'.
Find out who directed the movie {e}.

release | film, song, product | year
- {e} was released in {v}.
- {e} came out in {v}.
- The release of {e} was in {v}.
+ release year of '{e}'
When was '{e}' released?
In which year was '{e}' released?
What year did '{e}' come out?
What is the release year of '{e}'?
Look up when '{e}' was released.

star | film | person
- {e} stars {v}.
- {v} is the star of {e}.
- {v} plays the lead in {e}.
+ star of '{e}'
Who stars in '{e}'?
Who is the star of the film {e}?
Who plays the lead in '{e}'?
Which actor stars in the movie '{e}'?

running time | film | minutes
- {e} has a running time of {v}.
- The running time of {e} is {v}.
- The film {e} is {v} long.
+ running time of '{e}'
How long is the film '{e}'?
What is the running time of '{e}'?
How many minutes long is the movie {e}?
Look up the running time of the film '{e}'.

singer | song | person
- {e} is sung by {v}.
- The singer of {e} is {v}.
- {v} sings {e}.
- The song {e} was recorded by {v}.
+ singer of '{e}'
Who sang '{e}'?
Who sings the song '{e}'?
Who sings '{e}'?
Who sang the song '{e}'?
Who is the singer of the song {e}?
Which singer recorded '{e}'?
Look up the singer of '{e}'.

painter | painting | person
- {e} was painted by {v}.
- The painter of {e} is {v}.
- {v} painted {e}.
+ painter of '{e}'
Who painted '{e}'?
Who painted the picture '{e}'?
Who is the painter of '{e}'?
Which painter made '{e}'?
Find out who painted {e}.

museum | painting | city
- {e} hangs in the city museum of {v}.
- The painting {e} hangs in {v}.
- The museum in {v} shows {e}.
+ museum city of '{e}'
In which museum hangs '{e}'?
Where does '{e}' hang?
Where can I see the painting '{e}'?
In which city does the painting '{e}' hang?
Where does the painting '{e}' hang?
In what city is the museum with the painting '{e}'?
Look up where the painting {e} hangs.

architect | tower, bridge, museum | person
- {e} was designed by {v}.
- The architect of {e} was {v}.
- {v} designed {e}.
+ architect of {e}
What is the name of the person who designed {e}?
Who was {e} designed by?
Who was the architect of {e}?
Who designed {e}?
Which architect designed {e}?
What is the name of the architect of {e}?
Look up the architect of {e}.

opened | bridge, tower, museum, airport | year
- {e} opened in {v}.
- {e} was opened to the public in {v}.
- Opened in {v}, {e} is well known.
+ opening year of {e}
Which year did {e} open in?
When was {e} opened to the public?
When did {e} open?
When was {e} opened?
In which year did {e} open?
What year was {e} opened?
Find out when {e} opened.

ticket price | museum, festival, tower | price
- A ticket for {e} costs {v}.
- The ticket price of {e} is {v}.
- Visitors pay {v} for a ticket to {e}.
+ ticket price of {e}
How much does a ticket for {e} cost?
What is the ticket price of {e}?
How much is a ticket to {e}?
What does a ticket for {e} cost?
Look up the ticket price for {e}.

students | university | people
- {e} has {v} students.
- About {v} students study at {e}.
- The number of students at {e} is {v}.
+ number of students of {e}
How many students go to {e}?
How many students are there at {e}?
How many students does {e} have?
How many students study at {e}?
What is the number of students at {e}?
Search the web for the number of students at {e}.

month | festival | month
- {e} is held every {v}.
- {e} takes place in {v}.
- Each {v}, crowds come to {e}.
+ month of {e}
In which month is {e} held?
What month does {e} take place?
When in the year is {e} held?
Look up the month of {e}.

city | festival, museum, university, airport | city
- {e} is in the city of {v}.
- {e} is located in {v}.
- {v} is the city of {e}.
+ city of {e}
In which city is {e}?
Which city is {e} in?
What city is {e} located in?
Where is {e} located?
Look up the city of {e}.

winner | cup | person
- {v} won {e}.
- The winner of {e} was {v}.
- {e} was won by {v}.
+ winner of {e}
Who won {e}?
Who was the winner of {e}?
Who is the winner of {e}?
What is the name of the winner of {e}?
Look up who won {e}.
Search the web for the winner of {e}.

score | cup | score
- The final of {e} ended {v}.
- The score in the final of {e} was {v}.
- {e} was decided by a score of {v}.
+ final score of {e}
What was the score in the final of {e}?
What was the final score of {e}?
How did the final of {e} end?
Look up the score of the final of {e}.

price | product | price
- {e} costs {v}.
- The price of {e} is {v}.
- {e} is sold for {v}.
- You can buy {e} for {v}.
+ price of {e}
How much does {e} cost?
What is the price of {e}?
What does {e} cost?
How expensive is {e}?
Look up the price of {e}.
Search the web for the price of {e}.

weight | product | kilograms
- {e} weighs {v}.
- The weight of {e} is {v}.
- At a weight of {v}, {e} is easy to carry.
+ weight of {e}
How much does {e} weigh?
What is the weight of {e}?
How heavy is {e}?
Find out the weight of {e}.

battery life | product | hours
- The battery of {e} lasts {v}.
- {e} has a battery life of {v}.
- The battery life of {e} is {v}.
+ battery life of {e}
What is the battery life of {e}?
How long does the battery of {e} last?
How many hours does the battery of {e} last?
Look up the battery life of {e}.

maker | product | company
- {e} is made by {v}.
- {v} makes {e}.
- The maker of {e} is {v}.
+ maker of {e}
Who makes {e}?
Which company makes {e}?
What company is the maker of {e}?
Find out who makes {e}.

moons | planet | few
- {e} has {v} moons.
- The number of moons of {e} is {v}.
- In all, {v} moons orbit {e}.
+ number of moons of {e}
How many moons does {e} have?
What is the number of moons of {e}?
How many moons orbit {e}?
Look up how many moons {e} has.

discovered | planet, island | person
- {e} was discovered by {v}.
- {v} discovered {e}.
- The discoverer of {e} was {v}.
+ discoverer of {e}
Who first discovered {e}?
Which person discovered {e}?
Who discovered {e}?
Who was the discoverer of {e}?
Who was {e} discovered by?
What is the name of the person who discovered {e}?
Look up who discovered {e}.

year | battle | year
- {e} was fought in {v}.
- {e} took place in {v}.
- In the year {v}, {e} was fought.
+ year of {e}
When was {e}?
In which year was {e}?
What year was {e} fought?
When did {e} take place?
Look up the year of {e}.

general | battle | person
- General {v} won {e}.
- {e} was won by General {v}.
- The general at {e} was {v}.
+ winning general of {e}
Which general won {e}?
Who was the general at {e}?
What was the name of the general who won {e}?
Find out which general won {e}.
""",
    WEB_FRAMES,
)
