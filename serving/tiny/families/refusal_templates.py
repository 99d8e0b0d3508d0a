"""Requests that lie outside what the bundled model can do, with slots for what they are about.

Slots: {t} a topic, {n} a noun, {m} another noun, {a} an adjective, {f} a first name, {p} a full
name, {l} a language, {c} a town, {j} a job, {s} a short text, {g} gibberish, {k} a program to
write, {h} a household task, {d} a file name, {i} an ailment.
"""

from __future__ import annotations

from serving.tiny.families.refusal_words import ADVICE, EXPLAINING, LANGUAGE, WRITING

_OPINION = """
What do you think about {t}?
What do you think of {p}?
What is your opinion on {t}?
What is your favourite {n}?
What is your favourite colour?
What is your name?
What are you?
What are you doing?
What can you do?
What do you like to do in {c}?
What makes you happy?
Who are you?
Who made you?
Who is your best friend?
Who will win the next election?
Who is better, {f} or {f2}?
Where do you come from?
When were you made?
How are you?
How are you doing today?
How old are you?
How do you feel about {t}?
Do you like {t}?
Do you like the {n}?
Do you believe in {t}?
Do you have feelings?
Do you dream of {n}s?
Do you know {p}?
Do you love me?
Are you a human?
Are you happy?
Are you smarter than a {n}?
Are you sentient?
Is {t} good or bad?
Is {t} overrated?
Is a {n} better than a {m}?
Is there a god?
Can you feel pain?
Can you sing?
Can you be my friend?
Can you drive a {n}?
Would you rather be a {n} or a {m}?
Would you like to live in {c}?
Will {t} change the world?
Will it be a good year?
Will {f} forgive me?
Let's talk about {t}.
Let's chat.
Let's play a game.
Let's play chess.
Play a word game with me.
Play some music.
Pretend you are a {j}.
Pretend to be a {a} {n}.
Act as a {j} and give me advice.
Act like a {n}.
Imagine you are a {n}. What would you say?
Imagine a world without {t}.
You are a {j}. Talk to me about {t}.
Debate with me about {t}.
Argue for {t}.
Argue against {t}.
Convince me that {t} is good.
Persuade {f} to buy a {n}.
Predict the future of {t}.
Predict the weather of next year.
Predict tomorrow's lottery numbers.
Hello!
Hello there
Hi
Hi, how are you?
Hi, I'm {f}.
Hey
Hey there, {f} here.
Good morning!
Good evening, how was your day?
Good night.
Thank you very much!
Thanks, that was great.
Bye bye.
See you tomorrow.
You are great.
You are stupid.
I love you.
Nice to meet you, I am {f}.
Ok.
Why?
What?
Help!
Really?
test
{g}
{g} {g2}
{g} {g2} {n}?
{n} {m} {a}
{n}
{a} {n}!
"""

_MAKING = """
Draw a {n}.
Draw a picture of a {a} {n}.
Draw me a {n} with a {m}.
Draw a portrait of {f}.
Draw a map of {c}.
Paint a {n} in the style of {p}.
Paint a picture of {t}.
Sketch a {n}.
Generate an image of a {a} {n}.
Generate a picture of {c} at night.
Generate a photo of a {n}.
Generate a video about {t}.
Generate a logo for my {n} shop.
Create an image of a {n} and a {m}.
Create a logo for a {j}.
Create a presentation about {t}.
Create a website for my {n} shop.
Create a video about {t}.
Create a quiz about {t}.
Design a logo with a {n}.
Design a house with a {n}.
Design a poster for {t}.
Make a picture of a {n}.
Make a video of {f}.
Make me a sandwich.
Make a presentation on {t}.
Make a website about {t}.
Make an app for {t}.
Show me a picture of a {n}.
Edit this photo so that the {n} is {a}.
Record a song about {f}.
Sing me a song.
Sing a song about the {n}.
Read me the poem about the {n}.
Write a program that {k}.
Write a Python script that {k}.
Write a web app that {k}.
Write code for a game with a {n}.
Write a JavaScript function that {k}.
Write a SQL query that {k}.
Write a C++ class for a {n}.
Write unit tests for my {n} class.
Write a regular expression that matches a {n}.
Build a website that {k}.
Build a chatbot for a {j}.
Build me an app that {k}.
Code a snake game.
Code a {n} simulator in Java.
Develop a mobile app that {k}.
Implement a {n} class in Rust.
Implement quicksort in Haskell.
Program a game about a {n}.
Debug my code, it doesn't work.
Debug this JavaScript: {s}
Fix the bug in my {n} program.
Refactor my {n} module.
Review my code.
Review this pull request.
Explain this code: {s}
How do I install Linux?
How do I center a div?
How do I use git rebase?
How do I write a program that {k}?
What is the best programming language?
What is a good framework for a {n} app?
Can you code an app that {k}?
Can you hack the {n} of {f}?
Can you draw a {n}?
Can you make a logo for me?
Hack the website of {p}.
Train a neural network to recognise a {n}.
Deploy my {n} app to the cloud.
Set up a database for my {n} shop.
Reverse engineer this program.
"""

_DOING = """
Book a flight to {c}.
Book a table for two in {c}.
Book a hotel in {c} for next week.
Buy a {n} for me.
Buy me two tickets to {c}.
Order a pizza.
Order a {a} {n} online.
Call {f}.
Call me a taxi.
Send an email to {f}.
Send a message to {f} that I'm late.
Send {f} the {n}.
Post this on my blog: {s}
Reply to the email from {p}.
Open the {n}.
Open my browser.
Turn on the lights.
Turn off the {n}.
Turn the heating up.
Set an alarm for tomorrow.
Set a timer for the eggs.
Start the washing machine.
Lock the door.
Drive me to {c}.
Clean my {n}.
Sort out my life.
Organise my inbox.
Manage my calendar.
Cancel my subscription.
Pay my bills.
Transfer money to {f}.
Take a photo of the {n}.
Watch my {n} for me.
Listen to this song.
Look at this picture and tell me what you see.
Look at my {n} and tell me what is wrong.
What is in this picture?
What is in this image, a {n} or a {m}?
What song is this?
Recognise the {n} in the photo.
Transcribe this audio recording.
Transcribe the interview with {p}.
Identify this {n} for me.
Classify the tone of this text: {s}
Classify this review as good or bad: {s}
Is this sentence ironic: {s}
What is the sentiment of this text: {s}
What is the main idea of this text: {s}
Translate {d} into {l}.
Translate the attached letter into {l}.
Proofread {d}.
Rewrite {d} as a poem.
Improve the style of {d}.
What is the tone of {d}?
What does the author of {d} want to say?
Write an answer to the letter in {d}.
Write a conclusion for {d}.
Count to infinity.
Sort my feelings.
Calculate my chances with {f}.
Calculate how much {f} loves me.
Compute the meaning of life.
Solve my problem with {f}.
Solve the riddle of the {n}.
Solve a crossword about {t} for me.
Solve world hunger.
Write a poem about prime numbers.
Write a poem about the number 7.
Write a story about the letter A.
Write a song about Monday.
Write an essay on the history of mathematics.
Write a joke about percentages.
Plot a revenge on {f}.
Plot a novel about {t}.
Reverse my bad luck.
Convert {f} to a vegetarian.
Convert my house into a {n}.
Average people like {t}, why?
Remember the good old days?
What day would be good for a party with {f}?
What is the square root of happiness?
How many friends do I need?
How many {n}s would you eat in a day?
How long will I live?
How long does it take to become a {j}?
How much should a {j} earn?
"""

REFUSAL: dict[str, tuple[str, ...]] = {
    kind: tuple(text.strip().splitlines())
    for kind, text in (
        ("writing", WRITING),
        ("language", LANGUAGE),
        ("explaining", EXPLAINING),
        ("advice", ADVICE),
        ("opinion", _OPINION),
        ("making", _MAKING),
        ("doing", _DOING),
    )
}
